"""Wrong answers to the exercises of notebook 05."""

import copy

import numpy as np
import torch
from scipy import stats

import childtune_lite as ct
from childtune_lite.parents import draw_head


def factor(n, warmup):
    return lambda i: (i + 1) / (warmup + 1) if i < warmup else (n - i) / (n - warmup)


def one_run(model, batches, lr, mask=None, warmup=0, decay=0.0, clear=True, clip=1.0):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
    if mask is not None:
        mask.attach(optimizer, model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(len(batches), warmup))
    losses = []
    for batch in batches:
        loss = model(**batch).loss
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
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


class Coins:
    """A mask by hand: a right one, of other draws."""

    def __init__(self, p):
        self.p, self.random = p, torch.Generator().manual_seed(0)

    def attach(self, optimizer, model):
        def hook(*_):
            for w in model.parameters():
                w.grad *= (torch.rand(w.shape, generator=self.random) < self.p) / self.p

        optimizer.register_step_pre_hook(hook)


class ByPlace(ct.BernoulliMask):
    def attach(self, optimizer, model):
        return super().attach(optimizer)


def with_masks(f_mask, vanilla_mask=lambda p: None, seed=0, prepare=lambda model: model):
    def two_arms(parent, batches, lr, p, warmup):
        losses = {}
        for arm, mask in (("vanilla", vanilla_mask), ("F", f_mask)):
            torch.manual_seed(seed)
            model = prepare(copy.deepcopy(parent)).train()
            losses[arm] = one_run(model, batches, lr, mask(p), warmup)
        return losses

    return two_arms


def usual(p):
    return ct.BernoulliMask(p, seed=0)


def with_schedule(rate, moves_on=True):
    """Both arms, with rate(step, n, warmup) as the factor of LambdaLR."""

    def two_arms(parent, batches, lr, p, warmup):
        losses = {"vanilla": [], "F": []}
        for arm in losses:
            torch.manual_seed(0)
            model = copy.deepcopy(parent).train()
            optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
            if arm == "F":
                ct.BernoulliMask(p, seed=0).attach(optimizer, model)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: rate(i, len(batches), warmup))
            for batch in batches:
                optimizer.zero_grad()
                loss = model(**batch).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                if moves_on:
                    schedule.step()
                losses[arm].append(loss.item())
        return losses

    return two_arms


def right_rate(i, n, w):
    return factor(n, w)(i)


def from_transformers(i, n, w):
    return i / max(1, w) if i < w else max(0.0, (n - i) / max(1, n - w))


def with_clip(longest):
    return lambda *arguments: both(*arguments, clip=longest)


def mean_losses(*arguments):
    return {arm: sum(losses) / len(losses) for arm, losses in both(*arguments).items()}


def only_f(parent, batches, lr, p, warmup):
    torch.manual_seed(0)
    return one_run(copy.deepcopy(parent).train(), batches, lr, ct.BernoulliMask(p, seed=0), warmup)


def in_layer(records, layer, key):
    return [record["layers"][layer][key] for record in records]


def mask_in(zeros):
    """As one should: small shares need no mask."""
    return max(zeros) > 0.001


def moves(zeros):
    return max(zeros) - min(zeros) > 0.000_05


def by_the_head(records):
    return "F" if max(in_layer(records, "head", "zeros")) > 0 else "D"


def head_then_block(records):
    if max(in_layer(records, "head", "zeros")) > 0:
        return "F"
    return "D" if mask_in(in_layer(records, "layer 0", "zeros")) else "vanilla"


def by_the_embeddings(records):
    zeros = in_layer(records, "embeddings", "zeros")
    if not mask_in(zeros):
        return "vanilla"
    return "F" if moves(zeros) else "D"


def by_the_angle(records):
    cosine, zeros = in_layer(records, "layer 1", "cosine")[-1], in_layer(records, "layer 1", "zeros")
    if not mask_in(zeros):
        return "vanilla"
    return "F" if cosine < (1 - zeros[-1]) ** 0.5 + 0.05 else "D"


def steep_or_not(records):
    cosine = in_layer(records, "layer 0", "cosine")[0]
    if cosine > 0.9999:
        return "vanilla"
    return "F" if cosine < 0.9 else "D"


def many_zeros(records):
    zeros = in_layer(records, "layer 1", "zeros")
    if max(zeros) < 0.5:
        return "vanilla"
    return "F" if moves(zeros) else "D"


def any_angle(records):
    return "F" if in_layer(records, "layer 0", "cosine")[0] < 0.999 else "vanilla"


def mixed_up(records):
    zeros = in_layer(records, "layer 0", "zeros")
    if not mask_in(zeros):
        return "vanilla"
    return "D" if moves(zeros) else "F"


def any_zero(records):
    """On real runs, it calls vanilla F: some gradients are too small for float32."""
    zeros = in_layer(records, "layer 0", "zeros")
    if max(zeros) == 0:
        return "vanilla"
    return "F" if moves(zeros) else "D"


def to_the_last_digit(records):
    zeros = in_layer(records, "layer 0", "zeros")
    if not mask_in(zeros):
        return "vanilla"
    return "F" if len(set(zeros)) > 1 else "D"


def any_zero_to_the_last_digit(records):
    zeros = in_layer(records, "layer 0", "zeros")
    if not any(zeros):
        return "vanilla"
    return "D" if len(set(zeros)) == 1 else "F"


def within_a_thousandth(records):
    """On real runs, it calls F D: a block has nearly two million coins."""
    zeros = in_layer(records, "layer 0", "zeros")
    if not mask_in(zeros):
        return "vanilla"
    return "D" if max(zeros) - min(zeros) < 0.001 else "F"


def in_layer_3(records):
    return "vanilla" if not mask_in(in_layer(records, "layer 3", "zeros")) else "F"


def small_letters(records):
    zeros = in_layer(records, "layer 0", "zeros")
    if not mask_in(zeros):
        return "vanilla"
    return "f" if moves(zeros) else "d"


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


def of_independent_arms(arm, vanilla):
    """The common seeds, but the scatter of each arm by itself."""
    seeds = sorted(set(arm) & set(vanilla))
    a, b = (np.array([100 * column[seed] for seed in seeds]) for column in (arm, vanilla))
    ends = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    return a.mean() - b.mean(), ends.low, ends.high


def high_first(arm, vanilla):
    gaps = common(arm, vanilla)
    mean, low, high = t_interval(gaps, stats.t.ppf(0.975, len(gaps) - 1), gaps.std(ddof=1))
    return mean, high, low


def low_first(arm, vanilla):
    gaps = common(arm, vanilla)
    mean, low, high = t_interval(gaps, stats.t.ppf(0.975, len(gaps) - 1), gaps.std(ddof=1))
    return low, mean, high


def plus_minus(arm, vanilla):
    gaps = common(arm, vanilla)
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
    return gaps.mean(), half, half


def both_sorted(arm, vanilla):
    n = min(len(arm), len(vanilla))
    a, b = (np.array([column[seed] for seed in sorted(column)][:n]) for column in (arm, vanilla))
    gaps = 100 * (a - b)
    return t_interval(gaps, stats.t.ppf(0.975, n - 1), gaps.std(ddof=1))


def only_the_mean(arm, vanilla):
    return common(arm, vanilla).mean()


def standard_errors(arm, vanilla):
    gaps = common(arm, vanilla)
    return t_interval(gaps, 1.0, gaps.std(ddof=1))


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
        (with_masks(lambda p: ct.BernoulliMask(p, seed=1)), "which seed should it have?"),
        (with_masks(lambda p: ByPlace(p, seed=0)), "attach it with the model"),
        (with_masks(Coins), "Vanilla is right, but the further loss of F differs in 3 of 4 entries"),
        (with_masks(lambda p: ct.BernoulliMask(1 - p, seed=0)), "p is the share that stays"),
        (with_masks(lambda p: None), "the mask sits on neither"),
        (with_masks(usual, usual), "the mask sits on both"),
        (with_masks(usual, seed=1), "not those of `torch.manual_seed(0)`"),
        (with_masks(usual, prepare=lambda model: draw_head(model, seed=0)), "You drew a new head"),
        (with_schedule(lambda i, n, w: 1), "there is no schedule in it"),
        (with_schedule(right_rate, moves_on=False), "Does the schedule step?"),
        (with_schedule(lambda i, n, w: (n - i) / n), "no warmup"),
        (with_schedule(lambda i, n, w: 1 - i / 4), "those of section 3"),
        (with_schedule(from_transformers), "a step late"),
        (with_schedule(lambda i, n, w: (i + 1) / w if i < w else (n - i) / (n - w)), "it takes w + 1 steps"),
        (
            with_schedule(lambda i, n, w: (i + 1) / (w + 1) if i < w else (n - i - 1) / (n - w)),
            "the last rate is not 0",
        ),
        (with_schedule(lambda i, n, w: (i + 1) / (w + 1) if i < w else 1 - i / n), "not begin at the full rate"),
        (with_schedule(lambda i, n, w: min((i + 1) / (w + 1), 1)), "does not fall after the warmup"),
        (with_schedule(lambda i, n, w: right_rate(i + 1, n, w)), "Does the optimizer step first?"),
        (with_schedule(lambda i, n, w: 0.03 * right_rate(i, n, w)), "Your rates hold `lr` twice"),
        (with_schedule(lambda i, n, w: right_rate(i, n, round(w * n))), "and is no share of them"),
        (only_f, "TypeError: wanted {"),
        (with_masks(usual, seed=7), "Vanilla begins with the loss of the parent after `torch.manual_seed(0)`: no"),
        (with_clip(0.5), "The further loss of vanilla differs"),
        (mean_losses, "wanted a list for each arm"),
    ],
    "05.2": [
        (by_the_head, "Vanilla is taken for D"),
        (head_then_block, "a child may cover the head"),
        (by_the_embeddings, "Are they of absent words? Use a block."),
        (by_the_angle, "A child drawn by chance"),
        (steep_or_not, "A bound on the cosine"),
        (many_zeros, "A large p drops little"),
        (any_zero, "Vanilla may have a zero in a million"),
        (to_the_last_digit, "A child is taken for F"),
        (any_zero_to_the_last_digit, "Allow for it, in D, too"),
        (within_a_thousandth, "by less than a thousandth"),
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
        (10, "where the paper's line meets the curve"),
        (67, "in proportion: with the scatter"),
        (52, "The square is of all three"),
        (118, "You scaled the 39 in proportion"),
        (253, "You scaled the 39, which are for 0.7 points"),
        (444, "the figure's 10 seeds"),
        (1600, "for an effect of 0.7 points"),
        (90, "90 is too low"),
    ],
    "05.4": [
        (by_place, "Pair by seed"),
        (two_samples, "with the scatter of all seeds"),
        (normal_quantile, "1.96 is for many pairs"),
        (numpys_default, "You divided the squares by n"),
        (no_root, "how far single pairs scatter"),
        (n_degrees, "one too many"),
        (one_side, "a 90% interval"),
        (shares, "a score of 0.7 is 70 points"),
        (other_sign, "The sign"),
        (every_seed, "Some seeds ran in one arm only"),
        (high_first, "Low and high are exchanged"),
        (low_first, "The mean comes first"),
        (plus_minus, "Wanted are the ends of the interval"),
        (both_sorted, "Seeds without a partner shift your pairs"),
        (of_independent_arms, "as independent samples"),
        (only_the_mean, "TypeError: wanted three numbers"),
        (standard_errors, "The way down from mean to low is 0.36 times what was wanted"),
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
