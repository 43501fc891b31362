#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the tiny pair, tiny-target.gguf and tiny-draft.gguf: two llama-architecture models with one vocabulary.

They let the tests, and the first run of a program, use a real target and a real draft model without a download. The
draft model is distilled from the target, so that it agrees with it about as often as draft models in use do.

Text: the six novels of Jane Austen (1811-1817; public domain everywhere), 4.0 MB, as the Debian package
r-cran-janeaustenr carries them. The script downloads the package with apt-get; `--package FILE` takes a .deb that is
there already (of any version: what is checked is the hash of the text). Chapters are documents; every sixteenth is held
out, and the figures that are printed at the end are of those.

    pip install jax==0.10.2 numpy==2.4.6
    python3 train_tiny_pair.py [--package FILE] [--folder FOLDER]

writes both files into FOLDER (default: beside the script) in about fifteen minutes on two cores that have nothing else
to do. Equal weights give equal files, byte for byte; equal seeds give equal weights on one kind of machine (the order
of float additions is the compiler's). The golden token ids of tests/reference/tiny_pair_test.cpp belong to the files.

The committed pair, on held-out chapters, as written: perplexity per token 24.2 (target) and 29.3 (draft); their greedy
choices agree at 71 % of the positions, and a token drawn from the draft model's law is accepted with probability 0.77.
"""
import argparse
import collections
import hashlib
import io
import pathlib
import re
import struct
import subprocess
import tarfile
import tempfile
import time
import zlib
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

DEBIAN_PACKAGE = "r-cran-janeaustenr"
TEXT_MEMBER = "./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
TEXT_SHA256 = "34e36135b01b0fb43e32284b5fd3ae717e921e6e98a2db425cb753ae02cc3496"
AFTER_NOVEL = r"\n(?:THE END|FINIS|Finis|\*Vide a letter)"
HELD_OUT_EVERY = 16

VOCABULARY = 1024
END_OF_TEXT = 0
END_OF_TEXT_LETTERS = "<|endoftext|>"
BLOCK = 32  # elements of a quantisation block

SEED = 20
STEP_TOKENS = 2048
LENGTH = 128  # of the windows to train on; the last sixth of the steps sees windows of the whole context
WARM_UP = 40


class Shape(NamedTuple):
    """Sizes of a model."""
    name: str
    layers: int
    width: int
    heads: int
    key_heads: int
    feed_forward: int
    head_size: int = 32
    context: int = 512
    epsilon: float = 1e-5
    rope_base: float = 10000.0


TARGET = Shape("tiny-target", layers=4, width=128, heads=4, key_heads=2, feed_forward=512)
DRAFT = Shape("tiny-draft", layers=2, width=96, heads=3, key_heads=1, feed_forward=192)


# --- text ------------------------------------------------------------------------------------------------------------
def download_package(folder):
    subprocess.run(["apt-get", "download", "-q", DEBIAN_PACKAGE], cwd=folder, check=True)
    return next(pathlib.Path(folder).glob(f"{DEBIAN_PACKAGE}_*.deb"))


def data_of_package(package):
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    return tarfile.open(fileobj=io.BytesIO(archive)).extractfile(TEXT_MEMBER).read()


def lines_of_r_vector(data):
    """The texts of a character vector in the binary form of R's serialize(), version 3."""
    names_begin = 14
    at = names_begin + struct.unpack_from(">I", data, names_begin)[0] + 4
    kind, count = struct.unpack_from(">II", data, at)
    assert data[:2] == b"X\n" and kind & 0xFF == 16, "not a character vector"
    at += 8
    for _ in range(count):
        length = struct.unpack_from(">I", data, at + 4)[0]
        yield data[at + 8:at + 8 + length].decode()
        at += 8 + length


def novels_of(data):
    """The novels, each as its lines, in a data base of R: vectors, compressed, each after its length."""
    while data:
        stream = zlib.decompressobj()
        yield list(lines_of_r_vector(stream.decompress(data[4:])))
        data = stream.unused_data


def chapters_of(lines):
    """The chapters of a novel: paragraphs without line breaks, with an empty line between them."""
    text = "\n".join(lines).replace("_", "").encode("ascii", "ignore").decode()
    text = re.split(AFTER_NOVEL, text)[0]
    for chapter in re.split(r"\n+(?:CHAPTER|Chapter|VOLUME) .*\n", text)[1:]:
        paragraphs = (" ".join(p.split()) for p in re.split(r"\n\s*\n", chapter))
        chapter = "\n\n".join(p for p in paragraphs if p)
        if len(chapter) > 1000:
            yield chapter


def read_chapters(package):
    with tempfile.TemporaryDirectory() as folder:
        data = data_of_package(package or download_package(folder))
    chapters = [chapter for novel in novels_of(data) for chapter in chapters_of(novel)]
    found = hashlib.sha256("\0".join(chapters).encode()).hexdigest()
    if found != TEXT_SHA256:
        raise SystemExit(f"the text is not the expected one: its SHA-256 is {found}")
    return chapters


# --- vocabulary ------------------------------------------------------------------------------------------------------
# Byte-level BPE (arXiv 1508.07909) in the alphabet of GPT-2, and with its pre-tokenizer: this pattern, for ASCII text.
PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_letters():
    """The printable character that stands for each byte."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {**{byte: chr(byte) for byte in own}, **{byte: chr(0x100 + i) for i, byte in enumerate(others)}}


LETTERS = byte_letters()


def letters_of(piece):
    return tuple(LETTERS[byte] for byte in piece.encode())


def merged(symbols, pair):
    out = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def train_merges(chapters, count):
    """The merges in order of priority: the most frequent pair first, of equally frequent ones the greater."""
    pieces = collections.Counter(piece for chapter in chapters for piece in PIECE.findall(chapter))
    words = [[letters_of(piece), times] for piece, times in pieces.items()]
    pair_counts = collections.Counter()
    words_with = collections.defaultdict(set)

    def count_word(i, sign):
        symbols, times = words[i]
        for pair in zip(symbols, symbols[1:]):
            pair_counts[pair] += sign * times
            words_with[pair].add(i)

    for i in range(len(words)):
        count_word(i, 1)
    merges = []
    while len(merges) < count:
        best = max(pair_counts.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        for i in words_with.pop(best):
            count_word(i, -1)
            words[i][0] = merged(words[i][0], best)
            count_word(i, 1)
        del pair_counts[best]
    return merges


class Vocabulary:
    def __init__(self, merges):
        self.merges = merges
        self.texts = [END_OF_TEXT_LETTERS, *LETTERS.values(), *(a + b for a, b in merges)]
        assert len(set(self.texts)) == len(self.texts) == VOCABULARY
        self.ids = {text: i for i, text in enumerate(self.texts)}
        self.known = {}

    def encode_piece(self, piece):
        symbols = letters_of(piece)
        for pair in self.merges:
            if len(symbols) == 1:
                break
            symbols = merged(symbols, pair)
        return [self.ids[symbol] for symbol in symbols]

    def encode(self, text):
        ids = []
        for piece in PIECE.findall(text):
            if piece not in self.known:
                self.known[piece] = self.encode_piece(piece)
            ids += self.known[piece]
        return ids

    def decode(self, ids):
        bytes_of = {letter: byte for byte, letter in LETTERS.items()}
        return bytes(bytes_of[letter] for i in ids for letter in self.texts[i]).decode(errors="replace")


# --- model -----------------------------------------------------------------------------------------------------------
def matrix_shapes(shape):
    """Rows and columns of the matrices of a layer, by their names in GGUF files."""
    query, key = shape.heads * shape.head_size, shape.key_heads * shape.head_size
    return {"attn_q": (query, shape.width), "attn_k": (key, shape.width), "attn_v": (key, shape.width),
            "attn_output": (shape.width, query), "ffn_gate": (shape.feed_forward, shape.width),
            "ffn_up": (shape.feed_forward, shape.width), "ffn_down": (shape.width, shape.feed_forward)}


def first_weights(shape, key):
    weights = {"token_embd": 0.1 * jax.random.normal(jax.random.fold_in(key, 0), (VOCABULARY, shape.width)),
               "output_norm": jnp.ones(shape.width)}
    for layer in range(shape.layers):
        for norm in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{norm}"] = jnp.ones(shape.width)
        for i, (name, (rows, columns)) in enumerate(matrix_shapes(shape).items()):
            at_zero = name in ("attn_output", "ffn_down")
            spread = 0.0 if at_zero else columns ** -0.5
            key_of_matrix = jax.random.fold_in(key, 100 * layer + i + 1)
            weights[f"blk.{layer}.{name}"] = spread * jax.random.normal(key_of_matrix, (rows, columns))
    return weights


def normed(x, weight, epsilon):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def rotated(x, shape):
    """Rotates the pairs (0, 1), (2, 3), ... of heads by their positions; x is (rows, positions, heads, head size)."""
    pairs = jnp.arange(0, shape.head_size, 2) / shape.head_size
    angles = jnp.arange(x.shape[1])[:, None, None] * shape.rope_base ** -pairs
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = even * jnp.cos(angles) - odd * jnp.sin(angles), even * jnp.sin(angles) + odd * jnp.cos(angles)
    return jnp.stack(turned, axis=-1).reshape(x.shape)


def attended(shape, q, k, v):
    rows, length = q.shape[:2]
    q = q.reshape(rows, length, shape.key_heads, -1, shape.head_size)
    scores = jnp.einsum("rqhgd,rkhd->rhgqk", q, k) * shape.head_size ** -0.5
    seen = jnp.tril(jnp.ones((length, length), bool))
    p = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    return jnp.einsum("rhgqk,rkhd->rqhgd", p, v).reshape(rows, length, -1)


def logits_of(shape, weights, tokens):
    def heads(name, x):
        return (x @ weights[name].T).reshape(*x.shape[:2], -1, shape.head_size)

    x = weights["token_embd"][tokens]
    for layer in range(shape.layers):
        at = f"blk.{layer}."
        a = normed(x, weights[at + "attn_norm"], shape.epsilon)
        q, k = rotated(heads(at + "attn_q", a), shape), rotated(heads(at + "attn_k", a), shape)
        x = x + attended(shape, q, k, heads(at + "attn_v", a)) @ weights[at + "attn_output"].T
        b = normed(x, weights[at + "ffn_norm"], shape.epsilon)
        gated = jax.nn.silu(b @ weights[at + "ffn_gate"].T) * (b @ weights[at + "ffn_up"].T)
        x = x + gated @ weights[at + "ffn_down"].T
    return normed(x, weights["output_norm"], shape.epsilon) @ weights["token_embd"].T


# --- quantisation ----------------------------------------------------------------------------------------------------
def q8_0_parts(blocks):
    scale = np.abs(blocks).max(-1, keepdims=True) / 127
    return scale.astype(np.float16), np.rint(blocks / np.where(scale > 0, scale, 1)).astype(np.int8)


def q4_1_parts(blocks):
    least = blocks.min(-1, keepdims=True)
    scale = (blocks.max(-1, keepdims=True) - least) / 15
    codes = np.clip(np.rint((blocks - least) / np.where(scale > 0, scale, 1)), 0, 15)
    return scale.astype(np.float16), least.astype(np.float16), codes.astype(np.uint8)


class Encoding(NamedTuple):
    """A type of tensor: its number in GGUF files, its bytes, and the values that they stand for."""
    number: int
    bytes_of: callable
    values_of: callable


def q8_0_bytes(blocks):
    scale, codes = q8_0_parts(blocks)
    return np.concatenate([scale.view(np.uint8), codes.view(np.uint8)], axis=-1).tobytes()


def q8_0_values(blocks):
    scale, codes = q8_0_parts(blocks)
    return scale.astype(np.float32) * codes


def q4_1_bytes(blocks):
    scale, least, codes = q4_1_parts(blocks)
    nibbles = codes[:, :16] | codes[:, 16:] << 4
    return np.concatenate([scale.view(np.uint8), least.view(np.uint8), nibbles], axis=-1).tobytes()


def q4_1_values(blocks):
    scale, least, codes = q4_1_parts(blocks)
    return scale.astype(np.float32) * codes + least.astype(np.float32)


F32 = Encoding(0, lambda x: x.astype("<f4").tobytes(), lambda x: x)
Q4_1 = Encoding(3, q4_1_bytes, q4_1_values)
Q8_0 = Encoding(8, q8_0_bytes, q8_0_values)


def encoding_of(name):
    if name.endswith("norm"):
        return F32
    return Q4_1 if "ffn_" in name else Q8_0


def in_blocks(name, values):
    return values if encoding_of(name) is F32 else values.reshape(-1, BLOCK)


def quantised(weights):
    """The weights as a reader of the file sees them."""
    return {name: jnp.asarray(encoding_of(name).values_of(in_blocks(name, np.asarray(x))).reshape(x.shape))
            for name, x in weights.items()}


# --- training --------------------------------------------------------------------------------------------------------
def is_hidden_matrix(name):
    return name.startswith("blk.") and not name.endswith("norm")


def orthogonalised(m):
    """Nearly the nearest semi-orthogonal matrix, by Newton-Schulz iteration (the Muon optimiser)."""
    tall = m.shape[0] > m.shape[1]
    x = m.T if tall else m
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
    return (x.T if tall else x) * max(1.0, m.shape[0] / m.shape[1]) ** 0.5


def update(name, weight, gradient, state, step, rate):
    """One step of Muon for the matrices of layers and of Adam for the rest."""
    mean, square = state
    if is_hidden_matrix(name):
        mean = 0.95 * mean + gradient
        return weight - 0.02 * rate * orthogonalised(gradient + 0.95 * mean), (mean, square)
    mean = 0.9 * mean + 0.1 * gradient
    square = 0.95 * square + 0.05 * gradient * gradient
    direction = mean / (1 - 0.9 ** step) / (jnp.sqrt(square / (1 - 0.95 ** step)) + 1e-10)
    return weight - 0.004 * rate * direction, (mean, square)


def train(shape, loss_of, stream, steps, seed):
    """Weights that make `loss_of(weights, tokens)` small. The rate falls in a line from its height to nothing."""
    weights = first_weights(shape, jax.random.key(seed))
    states = {name: (jnp.zeros_like(w), jnp.zeros_like(w)) for name, w in weights.items()}

    @partial(jax.jit, donate_argnums=(0, 1))
    def one_step(weights, states, tokens, step, rate):
        loss, gradients = jax.value_and_grad(loss_of)(weights, tokens)
        moved = {n: update(n, weights[n], gradients[n], states[n], step, rate) for n in weights}
        return {n: w for n, (w, _) in moved.items()}, {n: s for n, (_, s) in moved.items()}, loss

    random = np.random.default_rng(seed)
    begun = time.time()
    recent = collections.deque(maxlen=100)
    for step in range(1, steps + 1):
        length = LENGTH if step <= 5 * steps // 6 else shape.context
        begins = random.integers(0, len(stream) - length, STEP_TOKENS // length)
        tokens = np.stack([stream[b:b + length + 1] for b in begins])
        rate = min(step / WARM_UP, (steps - step + 1) / steps)
        weights, states, loss = one_step(weights, states, tokens, float(step), rate)
        recent.append(float(loss))
        if step % 100 == 0:
            seconds = time.time() - begun
            print(f"{shape.name}: step {step} of {steps}, loss {np.mean(recent):.4f}, {seconds:.0f} s", flush=True)
    return weights


def cross_entropy(shape, weights, tokens):
    log_p = jax.nn.log_softmax(logits_of(shape, weights, tokens[:, :-1]))
    return -jnp.mean(jnp.take_along_axis(log_p, tokens[:, 1:, None], axis=-1))


def distillation(target_weights, weights, tokens):
    """Divergence of the draft model's law from the target's."""
    p = jax.nn.log_softmax(logits_of(TARGET, target_weights, tokens[:, :-1]))
    q = jax.nn.log_softmax(logits_of(DRAFT, weights, tokens[:, :-1]))
    return jnp.mean(jnp.sum(jnp.exp(p) * (p - q), axis=-1))


# --- figures ---------------------------------------------------------------------------------------------------------
@jax.jit
def compare(target_weights, draft_weights, tokens):
    p = jax.nn.log_softmax(logits_of(TARGET, target_weights, tokens[:, :-1]))
    q = jax.nn.log_softmax(logits_of(DRAFT, draft_weights, tokens[:, :-1]))
    losses = [-jnp.mean(jnp.take_along_axis(law, tokens[:, 1:, None], axis=-1)) for law in (p, q)]
    same = jnp.mean(jnp.argmax(p, -1) == jnp.argmax(q, -1))
    shared = jnp.mean(jnp.sum(jnp.minimum(jnp.exp(p), jnp.exp(q)), axis=-1))
    return jnp.array([*losses, same, shared])


def print_figures(target_weights, draft_weights, stream):
    rows, length = 4, TARGET.context + 1
    count = len(stream) // (rows * length)
    windows = stream[:count * rows * length].reshape(count, rows, length)
    figures = np.mean([compare(target_weights, draft_weights, window) for window in windows], axis=0)
    print(f"held-out perplexity per token: target {np.exp(figures[0]):.2f}, draft {np.exp(figures[1]):.2f}; "
          f"greedy agreement {figures[2]:.3f}; acceptance at temperature 1 {figures[3]:.3f}")


# --- GGUF ------------------------------------------------------------------------------------------------------------
ALIGNMENT = 32


def gguf_text(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(value):
    """The type number and the bytes of a value: bool, int (32 bits), float, text, list of text, or array of int32."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, gguf_text(value)
    if isinstance(value, np.ndarray):
        return 9, struct.pack("<IQ", 5, len(value)) + value.astype("<i4").tobytes()
    return 9, struct.pack("<IQ", 8, len(value)) + b"".join(map(gguf_text, value))


def gguf_entry(key, value):
    kind, data = gguf_value(value)
    return gguf_text(key) + struct.pack("<I", kind) + data


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def metadata(shape, vocabulary):
    return {
        "general.architecture": "llama",
        "general.name": shape.name,
        "general.description": "Written by tests/data/train_tiny_pair.py of Decant, to test decoding algorithms. "
                               "Trained on the six novels of Jane Austen, which are in the public domain.",
        "general.license": "Apache-2.0 WITH LLVM-exception",
        "general.quantization_version": 2,
        "llama.block_count": shape.layers,
        "llama.context_length": shape.context,
        "llama.embedding_length": shape.width,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.key_heads,
        "llama.attention.layer_norm_rms_epsilon": shape.epsilon,
        "llama.rope.dimension_count": shape.head_size,
        "llama.rope.freq_base": shape.rope_base,
        "llama.vocab_size": VOCABULARY,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": vocabulary.texts,
        "tokenizer.ggml.token_type": np.where(np.arange(VOCABULARY) == END_OF_TEXT, 3, 1),  # control, normal
        "tokenizer.ggml.merges": [f"{a} {b}" for a, b in vocabulary.merges],
        "tokenizer.ggml.bos_token_id": END_OF_TEXT,
        "tokenizer.ggml.eos_token_id": END_OF_TEXT,
        "tokenizer.ggml.add_bos_token": False,
    }


def gguf_file(entries, weights):
    infos, data = b"", b""
    for name, values in weights.items():
        encoding = encoding_of(name)
        infos += gguf_text(name + ".weight") + struct.pack(f"<I{values.ndim}Q", values.ndim, *reversed(values.shape))
        infos += struct.pack("<IQ", encoding.number, len(data))
        data += padded(encoding.bytes_of(in_blocks(name, np.asarray(values))))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(entries))
    return padded(head + b"".join(gguf_entry(*entry) for entry in entries.items()) + infos) + data


# --- program ---------------------------------------------------------------------------------------------------------
def stream_of(vocabulary, chapters):
    return np.array([i for chapter in chapters for i in (END_OF_TEXT, *vocabulary.encode(chapter))], np.int32)


def sample(shape, weights, vocabulary, prompt, count, seed):
    """Greedy text for seed 0, else text drawn at temperature 1."""
    step = jax.jit(lambda tokens, at: logits_of(shape, weights, tokens)[0, at])
    tokens = vocabulary.encode(prompt)
    random = np.random.default_rng(seed)
    for _ in range(count):
        padding = [END_OF_TEXT] * (shape.context - len(tokens))
        row = np.asarray(step(np.array([tokens + padding]), len(tokens) - 1))
        tokens.append(int(np.argmax(row if seed == 0 else row + random.gumbel(size=VOCABULARY))))
    return vocabulary.decode(tokens)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--package", help=f"a file {DEBIAN_PACKAGE}_*.deb")
    arguments.add_argument("--folder", default=pathlib.Path(__file__).parent, type=pathlib.Path)
    arguments.add_argument("--target-steps", default=1000, type=int)
    arguments.add_argument("--draft-steps", default=900, type=int)
    options = arguments.parse_args()

    chapters = read_chapters(options.package)
    held_out = chapters[::HELD_OUT_EVERY]
    trained_on = [chapter for i, chapter in enumerate(chapters) if i % HELD_OUT_EVERY != 0]
    vocabulary = Vocabulary(train_merges(trained_on, VOCABULARY - 257))
    stream = stream_of(vocabulary, trained_on)
    print(f"{len(chapters)} chapters, {sum(map(len, chapters))} bytes, {len(stream)} tokens to train on", flush=True)

    def write(shape, weights):
        file = gguf_file(metadata(shape, vocabulary), weights)
        (options.folder / f"{shape.name}.gguf").write_bytes(file)
        print(f"{shape.name}.gguf: {sum(w.size for w in weights.values())} weights, {len(file)} bytes", flush=True)

    target = train(TARGET, partial(cross_entropy, TARGET), stream, options.target_steps, SEED)
    write(TARGET, target)
    draft = train(DRAFT, partial(distillation, quantised(target)), stream, options.draft_steps, SEED + 1)
    write(DRAFT, draft)

    held_out_stream = stream_of(vocabulary, held_out)
    print("before quantisation: ", end="")
    print_figures(target, draft, held_out_stream)
    print("as written: ", end="")
    print_figures(quantised(target), quantised(draft), held_out_stream)
    for seed in (0, 1):
        print("---", sample(TARGET, quantised(target), vocabulary, "It was a", 100, seed), sep="\n")


if __name__ == "__main__":
    main()
