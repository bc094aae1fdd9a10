"""Wrong answers to the exercises of notebook 07."""

import math

import numpy
import torch


def gains(place, arm, baseline):
    return {s: place[arm][s] - place[baseline][s] for s in place[arm] if s in place[baseline]}


def extras(home, away, arm, baseline):
    here, there = gains(home, arm, baseline), gains(away, arm, baseline)
    return numpy.array([there[s] - here[s] for s in sorted(here) if s in there])


def with_error(values, ddof=1):
    values = numpy.array(values)
    return values.mean(), values.std(ddof=ddof) / math.sqrt(len(values))


def home_minus_away(home, away, arm, baseline):
    return with_error(-extras(home, away, arm, baseline))


def only_away(home, away, arm, baseline):
    here, there = gains(home, arm, baseline), gains(away, arm, baseline)
    return with_error([there[s] for s in there if s in here])


def no_baseline(home, away, arm, baseline):
    rows = home[arm], home[baseline], away[arm], away[baseline]
    return with_error([away[arm][s] - home[arm][s] for s in home[arm] if all(s in row for row in rows)])


def in_table_order(home, away, arm, baseline):
    a, b, c, d = (list(row.values()) for row in (home[arm], home[baseline], away[arm], away[baseline]))
    n = min(map(len, (a, b, c, d)))
    return with_error([c[i] - d[i] - a[i] + b[i] for i in range(n)])


def errors_added(home, away, arm, baseline):
    (m1, e1), (m2, e2) = (with_error(list(gains(t, arm, baseline).values())) for t in (home, away))
    return m2 - m1, math.hypot(e1, e2)


def no_root(home, away, arm, baseline):
    values = extras(home, away, arm, baseline)
    return values.mean(), values.std(ddof=1)


def numpys_std(home, away, arm, baseline):
    return with_error(extras(home, away, arm, baseline), ddof=0)


def always_vanilla(home, away, arm, baseline):
    return with_error(extras(home, away, arm, "vanilla"))


def half_an_interval(home, away, arm, baseline):
    mean, error = with_error(extras(home, away, arm, baseline))
    return mean, 1.96 * error


def every_seed(home, away, arm, baseline):
    return with_error([away[arm][s] - away[baseline][s] - home[arm][s] + home[baseline][s] for s in home["vanilla"]])


def half_a_t_interval(home, away, arm, baseline):
    from scipy import stats

    values = extras(home, away, arm, baseline)
    mean, error = with_error(values)
    return mean, stats.t(len(values) - 1).ppf(0.975) * error


def error_first(home, away, arm, baseline):
    mean, error = with_error(extras(home, away, arm, baseline))
    return error, mean


def unpaired(home, away, arm, baseline):
    a, b, c, d = (with_error(list(row.values())) for row in (away[arm], away[baseline], home[arm], home[baseline]))
    return (a[0] - b[0]) - (c[0] - d[0]), math.sqrt(a[1] ** 2 + b[1] ** 2 + c[1] ** 2 + d[1] ** 2)


def only_mean(home, away, arm, baseline):
    return extras(home, away, arm, baseline).mean()


def times(loss, w, v):
    return torch.autograd.functional.hvp(loss, w, v)[1]


def length_of_product(loss, w, start, steps):
    v = start
    for _ in range(steps):
        v = v / v.norm()
        product = times(loss, w, v)
        found, v = product.norm().item(), product
    return found


def never_normalised(loss, w, start, steps):
    v = start
    for _ in range(steps):
        v = times(loss, w, v)
    return (v * times(loss, w, v)).sum() / (v * v).sum()


def normalised_too_early(loss, w, start, steps):
    v = start
    for _ in range(steps):
        v = torch.nn.functional.normalize(v, dim=0)
        v = times(loss, w, v)
    return (v * times(loss, w, v)).sum()


def squared(loss, w, start, steps):
    v = start / start.norm()
    for _ in range(steps):
        v = times(loss, w, v)
        v = v / v.norm()
    return times(loss, w, v).pow(2).sum()


def gradient_length(loss, w, start, steps):
    w.requires_grad_()
    loss(w).backward()
    return w.grad.pow(2).sum().sqrt().item()


def no_steps(loss, w, start, steps):
    v = start / start.norm()
    return v @ times(loss, w, v)


def largest_of_all(loss, w, start, steps):
    hessian = torch.autograd.functional.hessian(loss, w)
    return torch.linalg.eigvalsh(hessian).max()


def whole_hessian(loss, w, start, steps):
    hessian = torch.autograd.functional.hessian(loss, w, vectorize=True)  # a single backward pass, batched
    v = start
    for _ in range(steps):
        v = hessian @ v
        v = v / v.norm()
    return v @ hessian @ v


def first_entries(loss, w, start, steps):
    v = start
    for _ in range(steps):
        v = v / v.norm()
        product = times(loss, w, v)
        found, v = product[0] / v[0], product
    return found


def more_than_asked(loss, w, start, steps):
    v = start
    for _ in range(3 * steps):
        v = v / v.norm()
        product = times(loss, w, v)
        found, v = v @ product, product
    return found


def no_graph(loss, w, start, steps):
    w.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(w), w)
    return torch.autograd.grad(gradient @ start, w)[0].norm()


def the_vector(loss, w, start, steps):
    v = start
    for _ in range(steps):
        v = times(loss, w, v / v.norm())
    return v


def hessian_at_start(loss, w, start, steps):
    v = start / start.norm()
    for _ in range(steps):
        product = times(loss, start, v)
        found, v = v @ product, product / product.norm()
    return found


def plain_mixture(weight, parent, kept, p):
    return torch.where(kept == 1, weight, parent)


def all_divided(weight, parent, kept, p):
    return torch.where(kept == 1, weight, parent) / p


def tuned_divided(weight, parent, kept, p):
    return torch.where(kept == 1, weight / p, parent)


def dropout(weight, parent, kept, p):
    return torch.where(kept == 1, weight / p, torch.zeros_like(weight))


def kept_the_wrong_ones(weight, parent, kept, p):
    return torch.where(kept == 0, parent + (weight - parent) / p, parent)


def share_dropped(weight, parent, kept, p):
    return torch.where(kept == 1, parent + (weight - parent) / (1 - p), parent)


def outside_the_graph(weight, parent, kept, p):
    return parent + kept * (weight.data - parent) / p


def each_by_its_share(weight, parent, kept, p):
    return kept * weight / p + (1 - kept) * parent / (1 - p)


def swapped_where_kept(weight, parent, kept, p):
    return weight + kept * (parent - weight) / p


def shifted(weight, parent, kept, p):
    return torch.where(kept == 1, weight, parent) + (1 - p) * (weight - parent)


def mean_only(weight, parent, kept, p):
    return weight * 1.0


def into_the_parent(weight, parent, kept, p):
    with torch.no_grad():
        parent += kept * (weight - parent) / p
    return parent


WRONG = {
    "07.1": [
        (80, "less than half of that"),
        (42, "as a share of 19"),
        (33.7, "scaled four in five down"),
        (35, "the t distribution has wider tails"),
        (19, "what becomes of 8 points"),
        (5, "no gain at all"),
        (0.23, "Did you give a share?"),
        (50, "must be narrow, too"),
        (65, "65 is too high"),
        (14, "14 is too low"),
    ],
    "07.2": [
        (1, "Which line compares F with its control?"),
        (2, "is no zero"),
        (3, "The control's own interval holds zero"),
        (5, "is the first line"),
        ("the mask", "none of the choices"),
    ],
    "07.3": [
        (home_minus_away, "The other way round"),
        (only_away, "And the gain at home?"),
        (no_baseline, "take the baseline off"),
        (in_table_order, "pair runs by place"),
        (errors_added, "two gains as independent"),
        (no_root, "the root of their number"),
        (numpys_std, "a whole population's"),
        (always_vanilla, "whatever the baseline is"),
        (half_an_interval, "is 1.96 times what was wanted"),
        (every_seed, "KeyError: 1"),
        (only_mean, "other parts: one value"),
        (half_a_t_interval, "the standard error was wanted"),
        (error_first, "(mean, error), in this order"),
        (unpaired, "four rows as independent"),
    ],
    "07.4": [
        (length_of_product, "has no sign"),
        (never_normalised, "outgrow their range"),
        (normalised_too_early, "Your last v is a product"),
        (squared, "the square of the eigenvalue"),
        (gradient_length, "length of the gradient"),
        (no_steps, "the curvature along the start"),
        (largest_of_all, "largest in size was wanted"),
        (whole_hessian, "you write the whole Hessian down"),
        (first_entries, "entry by entry"),
        (more_than_asked, "by more backward passes than `steps` asks for"),
        (no_graph, "does not require grad"),
        (the_vector, "has shape (5,), wanted ()"),
        (hessian_at_start, "The eigenvalue is"),
    ],
    "07.5": [
        (plain_mixture, "What must grow?"),
        (all_divided, "You divide all of it by p"),
        (tuned_divided, "You divide the tuned part only"),
        (dropout, "that is dropout"),
        (kept_the_wrong_ones, "keep where `kept` is 0"),
        (share_dropped, "divide by 1 - p"),
        (each_by_its_share, "Its mean is weight + parent"),
        (swapped_where_kept, "picks the tuned weight, not the parent's"),
        (shifted, "it is not the parent's entry"),
        (outside_the_graph, "no gradient comes back"),
        (mean_only, "The mixed weight differs in"),
        (into_the_parent, "writes into its argument `parent`"),
    ],
}
