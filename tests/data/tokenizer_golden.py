#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes tokenizer_golden.txt: texts and their token ids under the vocabulary of SmolLM2-135M-Instruct.

The ids come from the Python package `tokenizers`, an implementation that shares nothing with this library; it is given
the vocabulary and the merges of the GGUF file and the pre-tokenizer that the model's authors publish (single digits, then
the byte-level pattern of GPT-2).

    python3 tokenizer_golden.py MODEL.gguf [COUNT_OF_RANDOM_TEXTS [SEED]] > tokenizer_golden.txt
"""
import random
import struct
import sys
import unicodedata

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTROL = 3

WRITTEN = [
    "", " ", "  ", "\n", "\n\n", " \n ", "\t", "a", " a", "a ", "Hello, world!", "Hello, world!  2+2=42\n\n  it's  fine",
    "3.14 and 007", "  leading", "trailing  ", "I'LL we'll", "don't\tstop", "It's what we've said they'd do; I'm sure you're right.",
    "'s 't 're 've 'm 'll 'd", "''s", "o'clock rock'n'roll", "The capital of France is Paris.", "1234567890", "1 2 3", "x1y2z3",
    "\u0661\u0662\u0663 \u2167 \u00bd", "caf\u00e9 na\u00efve \u00e6\u00f8\u00e5 \u00df", "cafe\u0301", "\u4f60\u597d\uff0c\u4e16\u754c\uff01",
    "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", "\uc548\ub155\ud558\uc138\uc694", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645", "\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7", "\U0001d54f\U0001d7d8 math", "a\u00a0b\u2003c\u3000d\u200be",
    "\u0085\u2028\u2029", "a\u180eb", "tab\tand\x0bvt\x0cff\rcr\r\ncrlf", "\x00\x01\x04\x06\x1f\x7f", "\ufeffbom", "\ufffd",
    "int main(int argc, char** argv) {\n  return argc > 1 ? 0 : 1;\n}\n", "def f(x):\n    return x**2  # square\n",
    "for (i = 0; i < 10; ++i) {\n\t\tsum += a[i];\n\t}", "SELECT * FROM t WHERE a >= 10 AND b <> 'x';", "{\"key\": [1, 2.5, null, true]}",
    "https://example.com/a/b?c=d&e=%20f#g", "user.name+tag@example.co.uk", "C:\\Users\\me\\file.txt", "$1,234.56 (10%)", "a--b---c...d!!!e???",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "supercalifragilisticexpialidocious", "antidisestablishmentarianism",
    " " * 17 + "x", "\n" * 9 + "x", "=" * 40, "-" * 33 + ">", "_" * 7, "\u2014\u2013\u2026\u201cquoted\u201d \u2018single\u2019",
    "x\u0300\u0301\u0302y", "\u01c5 \u02b0 \u16ee \u3007 \u4e00", "\u00b2\u00b3\u00b9 \u2070 \u2460 \u0be7", "#hashtag @mention ~tilde `code` |pipe|",
    "<|im_end|>", "a <|im_start|>user b", "<|endoftext|><|endoftext|>", "<|im_end", "<repo_name>x<reponame>",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
]


def read_metadata(path):
    """The metadata of a GGUF file as a dictionary; strings as bytes."""
    with open(path, "rb") as file:
        scalar = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

        def number(form):
            return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]

        def value(kind):
            if kind == 8:
                return file.read(number("Q"))
            if kind == 9:
                element, count = number("I"), number("Q")
                return [value(element) for _ in range(count)]
            return number(scalar[kind])

        assert file.read(4) == b"GGUF"
        number("I"), number("Q")
        count = number("Q")
        return {file.read(number("Q")).decode(): value(number("I")) for _ in range(count)}


def make_tokenizer(metadata, with_control_tokens):
    texts = [text.decode() for text in metadata["tokenizer.ggml.tokens"]]
    merges = [tuple(merge.decode().split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    unknown = texts[metadata["tokenizer.ggml.unknown_token_id"]]
    model = models.BPE(vocab={text: i for i, text in enumerate(texts)}, merges=merges, unk_token=unknown, fuse_unk=False)
    oracle = Tokenizer(model)
    oracle.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    oracle.decoder = decoders.ByteLevel()
    if with_control_tokens:
        kinds = metadata["tokenizer.ggml.token_type"]
        oracle.add_special_tokens(
            [AddedToken(text, normalized=False) for text, kind in zip(texts, kinds) if kind == CONTROL])
    return oracle


def random_character(chance):
    """Mostly ordinary characters and spaces, sometimes any character that Unicode has assigned."""
    roll = chance.random()
    if roll < 0.45:
        return chance.choice("etaoinshrdlucmfwypvbgkjqxzETAOINS")
    if roll < 0.65:
        return chance.choice("    \n\t  ,.;:!?'\"()-")
    if roll < 0.72:
        return chance.choice("0123456789")
    if roll < 0.78:
        return "'" + chance.choice(["s", "t", "re", "ve", "m", "ll", "d", "S", "x"])
    while True:
        character = chr(chance.randrange(chance.choice([0x100, 0x800, 0x3000, 0x10000, 0x20000])))
        if unicodedata.category(character) not in ("Cn", "Cs", "Co"):
            return character


def escape(text):
    """Printable ASCII but the backslash as it is, other bytes as \\xNN."""
    return "".join(chr(b) if 0x20 <= b <= 0x7E and b != 0x5C else f"\\x{b:02X}" for b in text.encode())


def main():
    metadata = read_metadata(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 250
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 20240)
    texts = WRITTEN + ["".join(random_character(chance) for _ in range(chance.randrange(1, 30))) for _ in range(count)]
    plain, markup = make_tokenizer(metadata, False), make_tokenizer(metadata, True)
    print("# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception")
    print("# Written by tokenizer_golden.py with the Python package `tokenizers` as the oracle. One text per line: token ids of")
    print("# the text as plain text, a bar, ids with control tokens recognised (= when equal), a bar, the text between colons.")
    for text in texts:
        ids = [" ".join(map(str, oracle.encode(text, add_special_tokens=False).ids)) for oracle in (plain, markup)]
        print(f"{ids[0]}|{'=' if ids[0] == ids[1] else ids[1]}|:{escape(text)}:")


if __name__ == "__main__":
    main()
