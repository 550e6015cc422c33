"""training-recipe.yaml: what makes a published adapter again, for people and for `secdaemon`."""

import msgspec
import yaml

from secdaemon.pipeline.account.manifest_model import Manifest

HEAD = """\
# What makes this adapter again: the settings below as config.yaml, with the same versions of the
# libraries and the same data, then
#
#     secdaemon process --artifacts-dir ARTIFACT
#
# where ARTIFACT is the folder of scan outputs with the SHA-256 below.

"""


def recipe(manifest: Manifest) -> str:
    """Return the recipe of a run; everything in it is from its manifest."""
    models = {"base": manifest.base_model, "base_id": manifest.base_model_id}
    settings = {"models": models, **msgspec.to_builtins(manifest.settings)}
    facts = {
        "run": manifest.run_id,
        "artifact": msgspec.to_builtins(manifest.artifact),
        "source": msgspec.to_builtins(manifest.source),
        "data_revisions": manifest.data_revisions,
        "data_fingerprints": manifest.data_fingerprints,
        "seeds": manifest.seeds,
        "libraries": manifest.libraries,
    }
    return HEAD + yaml.safe_dump({"settings": settings, **facts}, sort_keys=False, width=100)
