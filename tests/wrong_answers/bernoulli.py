"""Wrong answers to the exercises of notebook 01."""

import torch


def no_division(gradient, mask, p):
    return torch.where(mask > 0, gradient, torch.zeros_like(gradient))


def dropouts_p(gradient, mask, p):
    return gradient * mask * (1 / (1 - p))


def times_p(gradient, mask, p):
    return p * mask * gradient


def turned_mask(gradient, mask, p):
    return torch.where(mask == 1, 0, gradient) / p


def no_mask(gradient, mask, p):
    return gradient * (1 / p)


def overwritten(gradient, mask, p):
    gradient *= mask
    gradient /= p
    return gradient


def mask_overwritten(gradient, mask, p):
    mask /= p
    return mask * gradient


def lost_dtype(gradient, mask, p):
    return gradient.float() * mask.float() / p


def forgot_return(gradient, mask, p):
    gradient * mask / p


def misspelt(gradient, mask, p):
    return gradeint * mask / p  # noqa: F821


def drop_rate(shape, p, generator):
    return (torch.rand(shape, generator=generator) > p).float()


def coin_a_tensor(shape, p, generator):
    return torch.full(shape, float(torch.rand(1, generator=generator).item() < p))


def coin_a_row(shape, p, generator):
    rows = torch.rand(shape[0], generator=generator) < p
    return torch.stack([torch.full(shape[1:], float(kept)) for kept in rows])


def coin_a_row_bernoulli(shape, p, generator):
    coins = torch.full((shape[0], *[1] * (len(shape) - 1)), p)
    return torch.bernoulli(coins, generator=generator) * torch.ones(shape)


def coin_a_column(shape, p, generator):
    return (torch.rand(1, *shape[1:], generator=generator) < p).repeat(shape[0], *[1] * (len(shape) - 1))


def flat_mask(shape, p, generator):
    return torch.rand(torch.Size(shape).numel(), generator=generator) < p


def first_length_only(shape, p, generator):
    return (torch.rand(shape[0], generator=generator) < p).int()


def no_return(shape, p, generator):
    torch.bernoulli(torch.full(shape, p), generator=generator)


def halves_alike(shape, p, generator):
    n = torch.Size(shape).numel()
    half = torch.rand(n // 2, generator=generator) < p
    return torch.cat([half, half]).view(shape)


def same_mask(shape, p, generator):
    return torch.empty(shape).bernoulli_(p, generator=torch.Generator().manual_seed(42))


def fixed_count(shape, p, generator):
    noise = torch.rand(shape, generator=generator)
    kept = round(p * noise.numel())
    return (noise <= noise.flatten().kthvalue(kept).values).float()


def divided_already(shape, p, generator):
    return (torch.rand(shape, generator=generator) < p) * (1 / p)


def normal_numbers(shape, p, generator):
    return (torch.randn(shape, generator=generator) < p).float()


def global_state(shape, p, generator):
    return torch.bernoulli(torch.full(shape, p))


def half_of_p(shape, p, generator):
    return (torch.rand(shape, generator=generator) < p / 2).float()


WRONG = {
    "01.1": [
        (drop_rate, "not the share that is dropped"),
        (coin_a_tensor, "over the whole tensor"),
        (coin_a_row, "over a whole row"),
        (coin_a_column, "over a whole column"),
        (flat_mask, "Your mask has shape (2000,), wanted (40, 50)"),
        (first_length_only, "Your mask has shape (40,), wanted (40, 50)"),
        (no_return, "begin with `return`"),
        (halves_alike, "One half of the mask repeats the other: yes"),
        (same_mask, "the same mask at every step"),
        (fixed_count, "Exactly p N ones"),
        (divided_already, "numbers other than 0 and 1"),
        (normal_numbers, "use uniform numbers"),
        (global_state, "global random state"),
        (half_of_p, "Share of ones is 0.498 times"),
    ],
    "01.2": [
        (no_division, "p times too small: did you divide by p_F?"),
        (dropouts_p, "dropout's p"),
        (times_p, "You multiply by p"),
        (turned_mask, "keep what the mask drops"),
        (no_mask, "where is the mask?"),
        (overwritten, "You overwrote the gradient itself"),
        (mask_overwritten, "You overwrote the mask"),
        (lost_dtype, "is float32, wanted float64"),
        (forgot_return, "begin with `return`"),
        (misspelt, "NameError: name 'gradeint' is not defined"),
    ],
    "01.3": [
        (90, "but not the tenth"),
        (300, "but not the noise"),
        (30, "Neither is squared"),
        (11, "p / (1 - p)"),
        (1000, "mean of the square"),
        (9, "the mask alone"),
        (100, "as large as the entry"),
        (400, "That is for p = 0.2"),
        (8100, "You squared the variance"),
        (500, "500 is too low"),
    ],
    "01.4": [
        (10, "keeps the mean, not the norm"),
        (3, "You took p."),
        (18.26, "the wrong way round: the masked"),
        (33.3, "without the root"),
        (8.37, "the root of 1 - p"),
        (6, "6.00 is too high"),
    ],
    "01.5": [
        (0, "arguments are all there"),
        (1, "One uniform number for each entry"),
        (2, "a share p is kept"),
        (4, "Who was to mask it?"),
        ("mask", "none of the choices"),
    ],
}
