"""The bench's rows for a GPU: time and peak memory of a training step of a BERT-large, its weights made at random.

On a CPU only `python -m childtune_lite.bench --quick` runs this code, at a tiny size and without a peak of memory.
"""

import copy
import gc
import statistics

import torch

from .bench_rows import Bench, Row, attach, interleaved

RECIPES = ("AdamW", "F", "F compiled", "D", "D lean")


def large_config():
    """BERT-large (cased), written by hand: no network is needed."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=28996, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
        max_position_embeddings=512, num_labels=2,
    )  # fmt: skip


def tiny_config():
    from transformers import BertConfig

    return BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, num_labels=2,
    )  # fmt: skip


def large_rows(bench: Bench) -> list[Row]:
    """Each recipe alone on the device, one after the other, since peaks of memory are compared."""
    if bench.device.type != "cuda" and bench.large is None:
        return [Row("BERT-large training step on CUDA: time and peak memory", None, note="not measured: no GPU here")]
    from transformers import BertConfig

    config = large_config() if bench.large is None else BertConfig(**bench.large)
    length = 128 if bench.large is None else bench.length
    seconds, peak = {}, {}
    for recipe in RECIPES:
        seconds[recipe], peak[recipe] = _train(recipe, config, bench, length)
        gc.collect()  # optimizers and hooks sit in reference cycles: the next recipe must not find this one's memory
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
    found = []
    for recipe in RECIPES[1:]:
        aims = (1.1, None) if recipe.startswith("F") else (0.7, 0.6)
        what = f"{recipe}: large network's training step, batch {bench.examples}, length {length}"
        note = f"{1000 * seconds[recipe]:.1f} ms against {1000 * seconds['AdamW']:.1f} ms"
        found.append(Row(f"{what}: time", seconds[recipe] / seconds["AdamW"], aim=aims[0], note=note))
        if peak["AdamW"]:
            note = f"{peak[recipe] / 2**30:.2f} GiB against {peak['AdamW'] / 2**30:.2f} GiB"
            found.append(Row(f"{what}: peak memory", peak[recipe] / peak["AdamW"], aim=aims[1], note=note))
    return found


def _train(recipe: str, config, bench: Bench, length: int) -> tuple[float, int]:
    """Median seconds of a training step, and the peak of allocated bytes (0 on a CPU)."""
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification(copy.deepcopy(config)).to(bench.device).train()
    optimizer = attach(recipe, model)
    batch = bench.batch(config, length=length)

    def step():
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    on_gpu = bench.device.type == "cuda"
    interleaved({recipe: step}, 2, bench.device)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(bench.device)
    seconds = statistics.median(interleaved({recipe: step}, bench.steps, bench.device, warm_up=0)[recipe])
    peak = torch.cuda.max_memory_allocated(bench.device) if on_gpu else 0
    return seconds, peak
