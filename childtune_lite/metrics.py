"""The metrics by which the tasks are judged, as GLUE does it (Wang et al., 2019)."""

import warnings

import torch

HEADLINES = {
    "acceptability": "matthews",
    "entailment": "accuracy",
    "glue/rte": "accuracy",
    "glue/cola": "matthews",
    "glue/mrpc": "f1",
    "glue/stsb": "pearson_spearman",
    "glue/mnli": "accuracy",
    "glue/snli": "accuracy",
}


def measure(logits, labels, num_labels, headline):
    """{metric name: float}. logits: (n, num_labels), or (n,) for regression; labels: (n,); tensors, arrays or lists."""
    logits = torch.as_tensor(logits).detach().float().cpu().numpy()
    labels = torch.as_tensor(labels).detach().cpu().numpy()
    if len(logits) != len(labels) or len(labels) == 0:
        raise ValueError(
            f"logits and labels: {len(logits)} and {len(labels)} examples; give as many of each, and at least one"
        )
    if num_labels == 1:
        return correlations(logits.reshape(-1), labels)
    if logits.shape != (len(labels), num_labels):
        raise ValueError(
            f"logits of shape {logits.shape}: this task has {num_labels} classes, give ({len(labels)}, {num_labels})"
        )
    return classification(logits.argmax(axis=1), labels, headline)


def classification(predictions, labels, headline):
    from sklearn.metrics import f1_score, matthews_corrcoef

    scores = {"accuracy": float((predictions == labels).mean())}
    if headline == "matthews":
        scores["matthews"] = float(matthews_corrcoef(labels, predictions))  # 0.0 when constant
    if headline == "f1":
        scores["f1"] = float(f1_score(labels, predictions, zero_division=0.0))
    return scores


def correlations(predictions, labels):
    from scipy.stats import pearsonr, spearmanr

    with warnings.catch_warnings():  # scipy warns of a constant input and gives NaN; to us it tells nothing, so 0.0
        warnings.simplefilter("ignore")
        pearson, spearman = (finite(f, predictions, labels) for f in (pearsonr, spearmanr))
    return {"pearson": pearson, "spearman": spearman, "pearson_spearman": (pearson + spearman) / 2}


def finite(correlation, predictions, labels):
    value = float(correlation(predictions, labels).statistic) if len(labels) > 1 else 0.0
    return value if value == value else 0.0
