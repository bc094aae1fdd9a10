"""A study's plan: a TOML file that says which arms meet which tasks, with which seeds. See `study.py`.

From the plan and the rows that are done, everything else follows: which runs are still to do, and at which learning
rate. Nothing else is remembered, so a study can be stopped at any moment.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .recipes import RECIPES

_PLAN = {"what", "parent", "device", "precision", "workers", "threads", "settings", "grid", "arms", "experiments"}
_SETTINGS = {"p", "epochs", "batch_size", "warmup", "weight_decay", "max_grad_norm", "estimator"}
_EXPERIMENT = {"name", "tasks", "arms", "seeds", "n_train", "n_eval", "also_on", "lr_from", "sharpness"}


@dataclass(frozen=True)
class Job:
    """One run, complete: whoever runs it needs nothing else.

    stage: "grid" (one of the learning rates tried, judged on held-out training examples) or "main".
    settings: (name, value) pairs for `finetune.Run`, beside lr and seed.
    also_on: names of tasks on whose validation examples the tuned network is tried, too.
    sharpness: how many training examples the largest Hessian eigenvalue is measured on; 0 for none.
    """

    stage: str
    arm: str
    recipe: str
    task: str
    n_train: int
    n_eval: int
    seed: int
    lr: float
    parent: str
    precision: str
    settings: tuple = ()
    also_on: tuple = ()
    sharpness: int = 0

    @property
    def key(self) -> str:
        """Equal for equal runs, whatever the arm is called and whichever experiment asks for them."""
        facts = {k: v for k, v in asdict(self).items() if k != "arm"}
        facts["settings"] = sorted(facts["settings"])
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()


@dataclass
class Plan:
    """The plan file, checked. `arms`: {name: {"recipe", "lr_of" (whose learning rate it takes), other settings}}."""

    what: str
    arms: dict
    experiments: list
    grid: dict
    settings: dict = field(default_factory=dict)
    parent: str = "minilm"
    device: str = "cpu"
    precision: str = "float32"
    workers: int = 1
    threads: int = 1

    def jobs(self, experiment: dict, rows: dict[str, dict]) -> list[Job]:
        """The runs of one experiment whose learning rate is known, the grid's first; `rows`: {key: row} that are done.

        Seeds go round last, so that a study stopped halfway has whole pairs.
        """
        found = []
        for task in experiment["tasks"]:
            for arm in experiment["arms"]:
                found += self._grid_jobs(arm, self._tuned_on(experiment, task))
        for task in experiment["tasks"]:
            for n_train in experiment["n_train"]:
                for seed in experiment["seeds"]:
                    for arm in experiment["arms"]:
                        lr = self.learning_rate(arm, self._tuned_on(experiment, task), rows)
                        if lr is not None:
                            found.append(self._main_job(experiment, arm, task, n_train, seed, lr))
        return list(dict.fromkeys(found))

    def count(self) -> int:
        """How many runs the whole plan has, as far as that can be known before the learning rates are."""
        keys = set()
        for experiment in self.experiments:
            for task in experiment["tasks"]:
                for arm in experiment["arms"]:
                    keys |= {job.key for job in self._grid_jobs(arm, self._tuned_on(experiment, task))}
                    for n_train in experiment["n_train"]:
                        tuned = self._tuned_on(experiment, task)
                        keys |= {(arm, task, tuned, n_train, experiment["n_eval"], s) for s in experiment["seeds"]}
        return len(keys)

    def learning_rate(self, arm: str, task: str, rows: dict[str, dict]) -> float | None:
        """The arm's best on this task's grid: highest headline on the held-out examples, of two equals the lower.

        None while a run of the grid is missing. A failed run has no score and is never chosen.
        """
        jobs = self._grid_jobs(arm, task)
        if any(job.key not in rows for job in jobs):
            return None
        scored = [(rows[job.key]["score"], -job.lr) for job in jobs if rows[job.key]["score"] is not None]
        return -max(scored)[1] if scored else min(job.lr for job in jobs)

    def _tuned_on(self, experiment: dict, task: str) -> str:
        return experiment.get("lr_from", task)

    def _grid_jobs(self, arm: str, task: str) -> list[Job]:
        owner = self.arms[arm].get("lr_of", arm)
        make = {"n_train": self.grid["n_train"], "n_eval": self.grid["n_eval"], "seed": self.grid["seed"]}
        return [self._job("grid", owner, task, lr=lr, **make) for lr in self.grid["lr"]]

    def _main_job(self, experiment: dict, arm: str, task: str, n_train: int, seed: int, lr: float) -> Job:
        return self._job(
            "main", arm, task, n_train=n_train, n_eval=experiment["n_eval"], seed=seed, lr=lr,
            also_on=tuple(experiment.get("also_on", ())), sharpness=experiment.get("sharpness", 0),
        )  # fmt: skip

    def _job(self, stage: str, arm: str, task: str, **rest) -> Job:
        own = {k: v for k, v in self.arms[arm].items() if k not in ("recipe", "lr_of")}
        return Job(
            stage=stage, arm=arm, recipe=self.arms[arm]["recipe"], task=task, parent=self.parent,
            precision=self.precision, settings=tuple(sorted({**self.settings, **own}.items())), **rest,
        )  # fmt: skip


def read_plan(path: str | Path) -> Plan:
    """The plan in this file. Raises ValueError on a missing file, an unknown name, or a part that is missing."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib

    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"plan={str(path)!r}: there is no such file. The plans are notebooks/results/study_*.toml in a clone; "
            "without one, childtune_lite.recorded('study_cpu.toml') says where they lie. Name --out then, too"
        )
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"plan={str(path)!r} is not TOML: {error}") from error
    _check_names("plan", text, _PLAN, {"what", "grid", "arms", "experiments"})
    _check_names("[grid]", text["grid"], wanted := {"lr", "seed", "n_train", "n_eval"}, wanted)
    for name, arm in text["arms"].items():
        if arm.get("recipe") not in RECIPES:
            raise ValueError(f"[arms.{name}] recipe={arm.get('recipe')!r}: expected one of {', '.join(RECIPES)}")
        _check_known(f"[arms.{name}] lr_of", [arm.get("lr_of", name)], text["arms"])
        _check_names(f"[arms.{name}]", arm, _SETTINGS | {"recipe", "lr_of"}, {"recipe"})
    _check_names("[settings]", text.get("settings", {}), _SETTINGS, set())
    for experiment in text["experiments"]:
        _check_names("[[experiments]]", experiment, _EXPERIMENT, _EXPERIMENT - {"also_on", "lr_from", "sharpness"})
        for key in ("tasks", "arms", "seeds", "n_train"):
            if not isinstance(experiment[key], list):
                raise ValueError(f"experiment {experiment['name']!r} {key}={experiment[key]!r}: expected a list")
        _check_known(f"experiment {experiment['name']!r} arms", experiment["arms"], text["arms"])
        if experiment.get("sharpness", 0) > min(experiment["n_train"]):
            raise ValueError(
                f"experiment {experiment['name']!r} sharpness={experiment['sharpness']}: it is measured on training "
                f"examples, and there are {min(experiment['n_train'])}"
            )
    names = [experiment["name"] for experiment in text["experiments"]]
    if len(names) != len(set(names)):
        raise ValueError(f"[[experiments]] name: {names} holds a name twice")
    return Plan(**text)


def _check_names(where: str, table: dict, known: set, needed: set) -> None:
    if strange := table.keys() - known:
        raise ValueError(f"{where} has {sorted(strange)}: expected {', '.join(sorted(known))}")
    if missing := needed - table.keys():
        raise ValueError(f"{where} lacks {', '.join(sorted(missing))}")


def _check_known(where: str, names, arms: dict) -> None:
    if strange := [name for name in names if name not in arms]:
        raise ValueError(f"{where}={strange}: expected names of [arms], {', '.join(arms)}")
