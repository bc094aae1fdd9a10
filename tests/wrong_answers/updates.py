"""Wrong answers to the exercises of notebook 02."""

import torch


def mask_alone(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    variance = ((examples - gradient) ** 2).mean(dim=0)
    return {
        "mean": -rate * p * gradient,
        "noise": p * rate**2 * variance / batch,
        "coin": rate**2 * gradient**2 * (p - p**2),
    }


def noise_as_unmasked(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / batch
    return {"mean": -rate * gradient, "noise": noise, "coin": (1 / p - 1) * (rate * gradient) ** 2}


def one_example(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p
    return {"mean": -rate * gradient, "noise": noise, "coin": (1 / p - 1) * (rate * gradient) ** 2}


def coin_an_example(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p / batch
    return {"mean": -rate * gradient, "noise": noise, "coin": (1 / p - 1) * (rate * gradient) ** 2 / batch}


def share_dropped(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p / batch
    return {"mean": -rate * gradient, "noise": noise, "coin": (1 - p) * (rate * gradient) ** 2}


def sample_variance(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * examples.var(dim=0) / (batch * p)
    return {"coin": (1 / p - 1) * (rate * gradient) ** 2, "mean": -rate * gradient, "noise": noise}


def coin_after_batch(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    of_batch = ((examples - gradient) ** 2).mean(dim=0) / batch
    return {
        "mean": -rate * gradient,
        "noise": rate**2 * of_batch,
        "coin": rate**2 * (gradient**2 + of_batch) * (1 - p) / p,
    }


def p_above(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) * p / batch
    return {"mean": -rate * gradient, "noise": noise, "coin": (1 / p - 1) * (rate * gradient) ** 2}


def uphill(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p / batch
    return {"mean": rate * gradient, "noise": noise, "coin": (1 / p - 1) * (rate * gradient) ** 2}


def average_square(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p / batch
    return {"mean": -rate * gradient, "noise": noise, "coin": rate**2 * (1 / p - 1) * (examples**2).mean(dim=0)}


def exchanged(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p / batch
    return {"mean": -rate * gradient, "noise": (1 / p - 1) * (rate * gradient) ** 2, "coin": noise}


def second_term_forgotten(examples, batch, p, rate):
    gradient = examples.mean(dim=0)
    noise = rate**2 * ((examples - gradient) ** 2).mean(dim=0) / p / batch
    return {"mean": -rate * gradient, "noise": noise}


def textbook(cloud, width):
    middle = cloud.var(dim=0)
    error = middle * torch.sqrt(torch.tensor(2 / (len(cloud) - 1)))
    return middle - width * error, middle + width * error


def error_of_the_mean(cloud, width):
    middle = cloud.var(dim=0)
    error = torch.sqrt(middle / cloud.shape[0])
    return middle - width * error, middle + width * error


def spread(cloud, width):
    middle = cloud.var(dim=0)
    error = torch.std((cloud - cloud.mean(dim=0)).pow(2), dim=0)
    return middle - width * error, middle + width * error


def n_without_root(cloud, width):
    middle = cloud.var(dim=0)
    error = torch.std((cloud - cloud.mean(dim=0)).pow(2), dim=0) / cloud.shape[0]
    return middle - width * error, middle + width * error


def no_width(cloud, width):
    middle = cloud.var(dim=0)
    error = torch.std((cloud - cloud.mean(dim=0)).pow(2), dim=0) / cloud.shape[0] ** 0.5
    return middle - error, middle + error


def not_centred(cloud, width):
    squares = cloud.pow(2)
    middle, error = squares.mean(dim=0), squares.std(dim=0) / cloud.shape[0] ** 0.5
    return middle - width * error, middle + width * error


def whole_fourth_power(cloud, width):
    deviations = cloud - cloud.mean(dim=0)
    middle, error = deviations.pow(2).mean(dim=0), (deviations.pow(4).mean(dim=0) / len(cloud)).sqrt()
    return middle - width * error, middle + width * error


def width_in_all(cloud, width):
    middle = cloud.var(dim=0)
    error = torch.std((cloud - cloud.mean(dim=0)).pow(2), dim=0) / cloud.shape[0] ** 0.5
    return middle - width / 2 * error, middle + width / 2 * error


def of_all_weights(cloud, width):
    squares = (cloud - cloud.mean()) ** 2
    middle, error = squares.mean(), squares.std() / len(squares) ** 0.5
    return middle - width * error, middle + width * error


def centred_in_place(cloud, width):
    cloud -= cloud.mean(dim=0)
    squares = cloud**2
    middle, error = squares.mean(dim=0), squares.std(dim=0) / len(squares) ** 0.5
    return middle - width * error, middle + width * error


def own_coins(gradient, Sigma, batch, p, rate, group):
    diagonal = torch.diag(torch.diag(Sigma) / batch + gradient**2)
    return -rate * gradient, rate**2 * (Sigma / batch + (1 - p) / p * diagonal)


def one_coin(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    return -rate * gradient, rate**2 * (Sigma / (p * batch) + (1 / p - 1) * outer)


def smaller_batch(gradient, Sigma, batch, p, rate, group):
    return -rate * gradient, rate**2 * (Sigma / (p * batch) + (1 - p) / p * torch.diag(gradient) ** 2)


def smaller_batch_with_groups(gradient, Sigma, batch, p, rate, group):
    shared = torch.where(group[:, None] == group[None, :], gradient[:, None] * gradient[None, :], 0.0)
    return -rate * gradient, rate**2 * (Sigma / (p * batch) + (1 - p) / p * shared)


def one_example_noise(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    factor = torch.where(group[:, None] == group[None, :], 1 / p, 1.0)
    return -rate * gradient, rate**2 * (factor * (Sigma + outer) - outer)


def always_one(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    factor = torch.where(group[:, None] == group[None, :], 1 / p**2, 1.0)
    return -rate * gradient, rate**2 * (factor * (Sigma / batch + outer) - outer)


def variances_only(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    factor = torch.where(group[:, None] == group[None, :], 1 / p, 1.0)
    return -rate * gradient, rate**2 * (factor * (torch.diag(torch.diag(Sigma)) / batch + outer) - outer)


def gradient_on_the_diagonal(gradient, Sigma, batch, p, rate, group):
    noise = Sigma / batch
    noise = torch.where(group[:, None] == group[None, :], noise / p, noise)
    return -rate * gradient, rate**2 * (noise + (1 - p) / p * torch.diag(gradient**2))


def mean_product(gradient, Sigma, batch, p, rate, group):
    product = Sigma / batch + gradient[:, None] * gradient[None, :]
    product = torch.where(group[:, None] == group[None, :], product / p, product)
    return -rate * gradient, rate**2 * product


def nothing_between(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    block = Sigma / (p * batch) + (1 - p) / p * outer
    return -rate * gradient, rate**2 * torch.where(group[:, None] == group[None, :], block, 0.0)


def not_divided(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    chance = torch.where(group[:, None] == group[None, :], p, p**2)
    return -rate * p * gradient, rate**2 * (chance * (Sigma / batch + outer) - p**2 * outer)


def neighbours_only(gradient, Sigma, batch, p, rate, group):
    outer, runs = gradient[:, None] * gradient[None, :], torch.cumsum(group.diff(prepend=group[:1]) != 0, 0)
    factor = torch.where(runs[:, None] == runs[None, :], 1 / p, 1.0)
    return -rate * gradient, rate**2 * (factor * (Sigma / batch + outer) - outer)


def divided_mean(gradient, Sigma, batch, p, rate, group):
    outer = gradient[:, None] * gradient[None, :]
    factor = torch.where(group[:, None] == group[None, :], 1 / p, 1.0)
    return -rate / p * gradient, rate**2 * (factor * (Sigma / batch + outer) - outer)


WRONG = {
    "02.1": [
        (mask_alone, "not divided by p"),
        (noise_as_unmasked, "noise term does not know p"),
        (one_example, "does not know B"),
        (coin_an_example, "One coin decides over the whole batch"),
        (share_dropped, "coin term has lost a p"),
        (sample_variance, "You divide by N - 1"),
        (coin_after_batch, "split it otherwise"),
        (average_square, "the square of their average"),
        (exchanged, "have changed places"),
        (p_above, "`noise` is 0.0625 times what was wanted, everywhere"),
        (uphill, "`mean` is -1 times what was wanted, everywhere"),
        (second_term_forgotten, "`mean`, `noise` where `mean`, `noise`, `coin` was wanted"),
    ],
    "02.2": [
        (textbook, "Your width is a normal cloud's"),
        (error_of_the_mean, "standard error of the mean"),
        (spread, "does not shrink with more draws"),
        (n_without_root, "You divide by the number itself"),
        (no_width, "Where is `width`?"),
        (not_centred, "subtract the mean first"),
        (whole_fourth_power, "the mean fourth power whole"),
        (width_in_all, "Half of high - low is 0.5 times"),
        (of_all_weights, "has shape (), wanted (2,)"),
        (centred_in_place, "writes into its argument `cloud`"),
    ],
    "02.3": [
        (10, "right at the same rate"),
        (40, "two shake twice"),
        (5, "The wrong way"),
        (80, "Where is p?"),
        (14.1, "A root too many"),
        (160, "160.0 is too high"),
        ("2 p B", "wanted a number"),
    ],
    "02.4": [
        (own_coins, "what does `group` say?"),
        (one_coin, "One coin decides over all"),
        (smaller_batch, "the coin on the diagonal only"),
        (smaller_batch_with_groups, "as a smaller batch would"),
        (one_example_noise, "Where is `batch`?"),
        (always_one, "as if it always showed 1"),
        (variances_only, "Off its diagonal you drop"),
        (gradient_on_the_diagonal, "both gradients on and off together"),
        (mean_product, "That is the mean product"),
        (nothing_between, "Between groups your covariance is 0"),
        (not_divided, "not divided by p"),
        (neighbours_only, "`covariance` differs in"),
        (divided_mean, "`mean` is 4 times what was wanted, everywhere"),
    ],
    "02.5": [
        (0, "What did the ratio come to?"),
        (2, "inside the child?"),
        (3, "rarely show 1 at once"),
        (4, "do not fix the tails"),
        ("Adam", "none of the choices"),
    ],
}
