"""Wrong answers to the exercises of notebook 05."""

import copy

import numpy as np
import torch
from scipy import stats

import childtune_lite as ct


def factor(n, warmup):
    return lambda i: (i + 1) / (warmup + 1) if i < warmup else (n - i) / (n - warmup)


def one_run(model, batches, lr, mask=None, warmup=0, decay=0.0, clear=True, clip=True):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
    if mask is not None:
        mask.attach(optimizer, model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(len(batches), warmup))
    losses = []
    for batch in batches:
        loss = model(**batch).loss
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if clear:
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def both(parent, batches, lr, p, warmup, mode=True, **faults):
    losses = {}
    for arm in ("F", "vanilla"):
        torch.manual_seed(0)
        model = copy.deepcopy(parent)
        model.train(mode)
        mask = ct.BernoulliMask(p, seed=0) if arm == "F" else None
        losses[arm] = one_run(model, batches, lr, mask, warmup, **faults)
    return losses


def parent_trained(parent, batches, lr, p, warmup):
    losses = {}
    parent.train()
    for arm in ("vanilla", "F"):
        torch.manual_seed(0)
        losses[arm] = one_run(parent, batches, lr, ct.BernoulliMask(p, seed=0) if arm == "F" else None, warmup)
    return losses


def copied_too_early(parent, batches, lr, p, warmup):
    model = copy.deepcopy(parent).train()
    torch.manual_seed(0)
    vanilla = one_run(model, batches, lr, warmup=warmup)
    torch.manual_seed(0)
    return {"vanilla": vanilla, "F": one_run(model, batches, lr, ct.BernoulliMask(p, seed=0), warmup)}


def seeded_once(parent, batches, lr, p, warmup):
    torch.manual_seed(0)
    vanilla = one_run(copy.deepcopy(parent).train(), batches, lr, warmup=warmup)
    masked = one_run(copy.deepcopy(parent).train(), batches, lr, ct.BernoulliMask(p, seed=0), warmup)
    return {"vanilla": vanilla, "F": masked}


def as_released(parent, batches, lr, p, warmup):
    torch.manual_seed(0)
    vanilla = one_run(copy.deepcopy(parent).train(), batches, lr, warmup=warmup)
    torch.manual_seed(0)
    return {"vanilla": vanilla, "F": one_run(copy.deepcopy(parent).train(), batches, lr, ct.BernoulliMask(p, seed=0))}


def never_evaluated(parent, batches, lr, p, warmup):
    return both(parent, batches, lr, p, warmup, mode=False)


def gradients_pile_up(parent, batches, lr, p, warmup):
    return both(parent, batches, lr, p, warmup, clear=False)


def default_decay(parent, batches, lr, p, warmup):
    return both(parent, batches, lr, p, warmup, decay=0.01)


def not_clipped(parent, batches, lr, p, warmup):
    return both(parent, batches, lr, p, warmup, clip=False)


def other_mask(parent, batches, lr, p, warmup):
    losses = {}
    for arm in ("vanilla", "F"):
        torch.manual_seed(0)
        mask = ct.BernoulliMask(p, seed=1) if arm == "F" else None
        losses[arm] = one_run(copy.deepcopy(parent).train(), batches, lr, mask, warmup)
    return losses


def only_f(parent, batches, lr, p, warmup):
    torch.manual_seed(0)
    return one_run(copy.deepcopy(parent).train(), batches, lr, ct.BernoulliMask(p, seed=0), warmup)


def in_layer(records, layer, key):
    return [record["layers"][layer][key] for record in records]


def by_the_head(records):
    return "F" if max(in_layer(records, "head", "zeros")) > 0 else "D"


def by_the_embeddings(records):
    zeros = in_layer(records, "embeddings", "zeros")
    if max(zeros) == 0:
        return "vanilla"
    blocks = in_layer(records, "layer 0", "zeros")
    return "D" if len(set(blocks)) == 1 and blocks[0] > 0 else "F"


def by_the_angle(records):
    cosine, zeros = in_layer(records, "layer 1", "cosine")[-1], in_layer(records, "layer 1", "zeros")[-1]
    if zeros == 0:
        return "vanilla"
    return "F" if cosine < (1 - zeros) ** 0.5 + 0.05 else "D"


def many_zeros(records):
    zeros = in_layer(records, "layer 1", "zeros")
    if zeros[0] < 0.5:
        return "vanilla"
    return "D" if zeros[0] == zeros[-1] else "F"


def any_angle(records):
    return "F" if in_layer(records, "layer 0", "cosine")[0] < 0.999 else "vanilla"


def mixed_up(records):
    zeros = in_layer(records, "layer 0", "zeros")
    if not any(zeros):
        return "vanilla"
    return "F" if len(set(zeros)) == 1 else "D"


def in_layer_3(records):
    return "vanilla" if not any(in_layer(records, "layer 3", "zeros")) else "F"


def small_letters(records):
    zeros = in_layer(records, "layer 0", "zeros")
    if not any(zeros):
        return "vanilla"
    return "d" if len(set(zeros)) == 1 else "f"


def t_interval(gaps, t, sd):
    gaps = np.array(gaps)
    half = t * sd / len(gaps) ** 0.5
    return gaps.mean(), gaps.mean() - half, gaps.mean() + half


def common(arm, vanilla):
    return np.array([100 * (arm[seed] - vanilla[seed]) for seed in sorted(set(arm) & set(vanilla))])


def by_place(arm, vanilla):
    n = min(len(arm), len(vanilla))
    gaps = 100 * (np.array(list(arm.values())[:n]) - np.array(list(vanilla.values())[:n]))
    return t_interval(gaps, stats.t.ppf(0.975, n - 1), gaps.std(ddof=1))


def two_samples(arm, vanilla):
    a, b = (100 * np.array(list(column.values())) for column in (arm, vanilla))
    n, m = len(a), len(b)
    pooled = ((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2)
    half = stats.t.ppf(0.975, n + m - 2) * (pooled * (1 / n + 1 / m)) ** 0.5
    gap = a.mean() - b.mean()
    return gap, gap - half, gap + half


def normal_quantile(arm, vanilla):
    gaps = common(arm, vanilla)
    return t_interval(gaps, stats.norm.ppf(0.975), gaps.std(ddof=1))


def numpys_default(arm, vanilla):
    gaps = common(arm, vanilla)
    return t_interval(gaps, stats.t.ppf(0.975, len(gaps) - 1), gaps.std())


def no_root(arm, vanilla):
    gaps = common(arm, vanilla)
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1)
    return gaps.mean(), gaps.mean() - half, gaps.mean() + half


def n_degrees(arm, vanilla):
    gaps = common(arm, vanilla)
    return t_interval(gaps, stats.t.ppf(0.975, len(gaps)), gaps.std(ddof=1))


def one_side(arm, vanilla):
    gaps = common(arm, vanilla)
    return t_interval(gaps, stats.t.ppf(0.95, len(gaps) - 1), gaps.std(ddof=1))


def shares(arm, vanilla):
    gaps = common(arm, vanilla) / 100
    return t_interval(gaps, stats.t.ppf(0.975, len(gaps) - 1), gaps.std(ddof=1))


def other_sign(arm, vanilla):
    gaps = -common(arm, vanilla)
    return t_interval(gaps, stats.t.ppf(0.975, len(gaps) - 1), gaps.std(ddof=1))


def every_seed(arm, vanilla):
    gaps = np.array([100 * (arm[seed] - vanilla[seed]) for seed in arm])
    return t_interval(gaps, stats.t.ppf(0.975, len(gaps) - 1), gaps.std(ddof=1))


WRONG = {
    "05.1": [
        (parent_trained, "the first arm trained it"),
        (copied_too_early, "begins where the first ended"),
        (seeded_once, "The arms drop other units"),
        (as_released, "the confound of the released code"),
        (never_evaluated, "Dropout is off"),
        (gradients_pile_up, "of the batch before still lie there?"),
        (default_decay, "Weights decay"),
        (not_clipped, "clip it"),
        (other_mask, "Loss of F, minus its first differs"),
        (only_f, "TypeError: wanted {"),
    ],
    "05.2": [
        (by_the_head, "Vanilla is taken for D"),
        (by_the_embeddings, "Vanilla is taken for F"),
        (by_the_angle, "A child drawn by chance"),
        (many_zeros, "look for any zero"),
        (any_angle, "Both masks turn the gradient"),
        (mixed_up, "whose mask is drawn once?"),
        (in_layer_3, "KeyError: 'layer 3'"),
        (small_letters, "Your result is 'f'"),
    ],
    "05.3": [
        (39, "the number for the figure"),
        (171, "every second time"),
        (702, "You doubled it"),
        (19, "four times the seeds, not twice"),
        (275, "one-sided test"),
        (100, "100 is too low"),
    ],
    "05.4": [
        (by_place, "Pair by seed"),
        (two_samples, "Nothing is paired"),
        (normal_quantile, "1.96 is for many pairs"),
        (numpys_default, "You divided the squares by n"),
        (no_root, "how far single pairs scatter"),
        (n_degrees, "one too many"),
        (one_side, "a 90% interval"),
        (shares, "a score of 0.7 is 70 points"),
        (other_sign, "Mean is -1 times"),
        (every_seed, "KeyError"),
    ],
    "05.5": [
        (0, "otherwise the parent would be trained"),
        (1, "the one that should step"),
        (2, "counts from 0"),
        (3, "who steps this optimizer?"),
        (5, "Whose optimizer does it?"),
        (6, "This line only shows it"),
        (4.5, "none of the choices"),
    ],
}
