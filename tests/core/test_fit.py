"""The hardware verdict: the vendor's list and the arithmetic, side by side."""

from __future__ import annotations

import pytest

from nemocli.core.card import ModelCard
from nemocli.core.faults import NemoError
from nemocli.core.fit import fits, memory_of, parse_gpus
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder


@pytest.fixture(scope="module")
def ultra(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    cache = tmp_path_factory.mktemp("cards") / "profiles.json"
    card = catalogue(ProfileFolders(profiles_folder()), cache).catalogue.card("nemotron-3-ultra")
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
        ("8xA100", "nvfp4", "unknown", 8),
        ("8xA100-40GB", "nvfp4", "does not fit", 8),
        ("16xA100 80GB", "bf16", "does not fit", 8),
        ("4xGB300", "nvfp4", "fits", 4),
        ("1xL40S", "nvfp4", "does not fit", 1),
    ],
)
def test_verdicts(ultra: ModelCard, gpus: str, precision: str, verdict: str, tensor: int) -> None:
    (fit,) = fits(ultra, parse_gpus(gpus), precision, None)
    assert (fit.verdict, fit.tensor) == (verdict, tensor), fit.why
    assert fit.why
    assert (fit.listed is not None) == ("vendor's list" not in fit.why)


def test_a_context_is_short_only_below_the_models_own(ultra: ModelCard) -> None:
    (fit,) = fits(ultra, parse_gpus("16xH100"), "bf16", None)
    assert fit.context == ultra.context
    assert "short" not in fit.why


def test_a_size_in_the_name_is_honoured() -> None:
    assert 40_000 < parse_gpus("8xA100-40GB").memory_mib < 41_000
    assert parse_gpus("8xA100-80GB").memory_mib == parse_gpus("8xA100").memory_mib
    assert parse_gpus("8xH100-80GB-HBM3").memory_mib == parse_gpus("8xH100").memory_mib
    assert parse_gpus("2xMYSTERY 96GB").memory_mib > 96_000


def test_every_precision_with_a_size_has_a_verdict(ultra: ModelCard) -> None:
    found = fits(ultra, parse_gpus("8xB200"), None, None)
    assert {"NVFP4", "BF16"} <= {fit.precision.upper() for fit in found}


def test_kinds_are_known_by_the_names_people_use() -> None:
    assert memory_of("H100-80GB-HBM3") == memory_of("h100")
    assert memory_of("GB200") != memory_of("B200")
    with pytest.raises(NemoError, match="no memory is known"):
        parse_gpus("8xTPU")
    assert (parse_gpus("H100").count, parse_gpus("H100").kind) == (1, "H100")
    for text in ("0xH100", "xH100", ""):
        with pytest.raises(NemoError, match="no set of GPUs"):
            parse_gpus(text)
