"""The hardware verdict: the vendor's list and the arithmetic, side by side."""

from __future__ import annotations

import pytest

from nemocli.core.card import ModelCard
from nemocli.core.faults import NemoError
from nemocli.core.fit import fits, memory_of, parse_gpus
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, shipped_folder


@pytest.fixture(scope="module")
def ultra(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    cache = tmp_path_factory.mktemp("cards") / "profiles.json"
    card = catalogue(ProfileFolders(shipped_folder()), cache).catalogue.card("nemotron-3-ultra")
    assert card is not None
    return card


@pytest.mark.parametrize(
    ("gpus", "precision", "verdict", "tensor"),
    [
        ("8xH100", "nvfp4", "fits", 8),
        # The guide's four H100 are not enough: 320 GB of memory for 352 GB of weights.
        ("4xH100", "nvfp4", "does not fit", 4),
        ("4xH200", "nvfp4", "fits", 4),
        ("2xB200", "nvfp4", "listed, tight", 2),
        ("8xH100", "bf16", "does not fit", 8),
        ("16xH100", "bf16", "listed, tight", 8),
        ("8xA100", "nvfp4", "fits", 8),
        ("1xL40S", "nvfp4", "does not fit", 1),
    ],
)
def test_verdicts(ultra: ModelCard, gpus: str, precision: str, verdict: str, tensor: int) -> None:
    (fit,) = fits(ultra, parse_gpus(gpus), precision, None)
    assert (fit.verdict, fit.tensor) == (verdict, tensor), fit.why
    assert fit.why
    assert (fit.listed is not None) == ("not in the vendor's list" not in fit.why)


def test_every_precision_with_a_size_has_a_verdict(ultra: ModelCard) -> None:
    found = fits(ultra, parse_gpus("8xB200"), None, None)
    assert {"NVFP4", "BF16"} <= {fit.precision.upper() for fit in found}


def test_kinds_are_known_by_the_names_people_use() -> None:
    assert memory_of("H100-80GB-HBM3") == memory_of("h100")
    assert memory_of("GB200") != memory_of("B200")
    with pytest.raises(NemoError, match="no memory is known"):
        parse_gpus("8xTPU")
    for text in ("H100", "0xH100", "xH100", ""):
        with pytest.raises(NemoError, match="no set of GPUs"):
            parse_gpus(text)
