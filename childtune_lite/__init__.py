"""childtune_lite: fine-tune a large pretrained network, the parent, by updating only a part of it, the child.

The method is Child-Tuning (Xu et al., "Raise a Child in Large Language Model", EMNLP 2021). The notebooks teach it;
this module holds what more than one of them needs. Import it as `import childtune_lite as ct`.
"""

from . import checks, exercises, memory, plots, views
from .about import about
from .child import Child
from .delta import apply_delta, save_delta
from .explore import explore
from .finetune import finetune
from .fisher import encoder_scope, fisher_scores
from .live import LiveTraining
from .masks import BernoulliMask, bernoulli_mask
from .parents import load_parent
from .recipes import RECIPES
from .records import recorded
from .tasks import load_task

__version__ = "0.1.0"

__all__ = [
    "RECIPES",
    "BernoulliMask",
    "Child",
    "LiveTraining",
    "about",
    "apply_delta",
    "bernoulli_mask",
    "checks",
    "encoder_scope",
    "exercises",
    "explore",
    "finetune",
    "fisher_scores",
    "load_parent",
    "load_task",
    "memory",
    "plots",
    "recorded",
    "save_delta",
    "views",
]
