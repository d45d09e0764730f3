"""The same plan for engines that go beyond one command: compose, Kubernetes, Helm, Slurm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nemocli.nim.plan import CACHE, LABEL, SHM, Launch, NimPlan, variables

Document = Mapping[str, Any]
_HEALTH = "/v1/health/ready"


def compose(plan: NimPlan, launch: Launch) -> list[Document]:
    """A compose file."""
    service = {
        "image": plan.image.reference,
        "labels": {LABEL: plan.model},
        "shm_size": SHM,
        "ulimits": {"memlock": -1, "stack": 67108864},
        "ports": [f"{launch.host}:{launch.port}:8000"],
        "environment": {
            **{name: f"${{{name}}}" for name in launch.keys},
            **_environment(plan, launch),
        },
        "volumes": [f"{launch.cache}:{CACHE}"],
        "healthcheck": {
            "test": ["CMD-SHELL", f"curl -fs http://localhost:8000{_HEALTH}"],
            "interval": "30s",
            "start_period": "2h",
        },
        "deploy": {
            "resources": {
                "reservations": {
                    "devices": [
                        {"driver": "nvidia", "count": plan.gpus.count, "capabilities": ["gpu"]}
                    ]
                }
            }
        },
    }
    return [{"services": {"nim": service}}]


def operator(plan: NimPlan, launch: Launch) -> list[Document]:
    """NIMCache and NIMService of the NIM Operator; more nodes through Ray."""
    name = plan.model.replace(".", "-")
    cache = {
        "apiVersion": "apps.nvidia.com/v1alpha1",
        "kind": "NIMCache",
        "metadata": {"name": name, "labels": {LABEL: plan.model}},
        "spec": {
            "source": {
                "ngc": {
                    "modelPuller": plan.image.reference,
                    "pullSecret": "ngc-secret",
                    "authSecret": "ngc-api-secret",
                    "model": {"profiles": [plan.profile] if plan.profile else []},
                }
            },
            "storage": {
                "pvc": {"create": True, "size": "1200Gi", "volumeAccessMode": "ReadWriteMany"}
            },
        },
    }
    spec: dict[str, Any] = {
        "image": {
            "repository": plan.image.image,
            "tag": plan.image.tag,
            "pullPolicy": "IfNotPresent",
            "pullSecrets": ["ngc-secret"],
        },
        "authSecret": "ngc-api-secret",
        "storage": {"nimCache": {"name": name, "profile": plan.profile or ""}},
        "replicas": 1,
        "env": _named(_environment(plan, launch)),
        "resources": {"limits": {"nvidia.com/gpu": plan.gpus.count // plan.nodes}},
        "expose": {"service": {"type": "ClusterIP", "port": 8000}},
    }
    if plan.nodes > 1:
        spec["multiNode"] = {
            "ray": {},
            "parallelism": {"tensor": plan.tensor, "pipeline": plan.pipeline},
        }
    service = {
        "apiVersion": "apps.nvidia.com/v1alpha1",
        "kind": "NIMService",
        "metadata": {"name": name, "labels": {LABEL: plan.model}},
        "spec": spec,
    }
    return [cache, service]


def helm(plan: NimPlan, launch: Launch) -> list[Document]:
    """Values of the chart `nim-llm`."""
    return [
        {
            "image": {"repository": plan.image.image, "tag": plan.image.tag},
            "model": {"ngcAPISecret": "ngc-api-secret"},
            "imagePullSecrets": [{"name": "ngc-secret"}],
            "resources": {"limits": {"nvidia.com/gpu": plan.gpus.count // plan.nodes}},
            "persistence": {"enabled": True, "size": "1200Gi"},
            "env": _named(_environment(plan, launch)),
        }
    ]


def slurm(plan: NimPlan, launch: Launch) -> str:
    """A batch script for enroot and pyxis."""
    per_node = plan.gpus.count // plan.nodes
    names = ",".join([*launch.keys, "NIM_PASSTHROUGH_ARGS", "NIM_MODEL_PROFILE"])
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name=nim-{plan.model}",
        f"#SBATCH --nodes={plan.nodes}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --gpus-per-node={per_node}",
        "#SBATCH --exclusive",
        "set -euo pipefail",
        *(f"export {k}={_quoted(v)}" for k, v in _environment(plan, launch).items()),
        f"srun --container-image={plan.image.reference.replace('/', '#', 1)} \\",
        f"  --container-mounts={launch.cache}:{CACHE} \\",
        f"  --container-env={names} /opt/nim/start_server.sh",
    ]
    return "\n".join(lines) + "\n"


def _environment(plan: NimPlan, launch: Launch) -> dict[str, str]:
    return variables(plan.image, launch, plan.profile)


def _named(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Variables as Kubernetes has them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


TARGETS: Mapping[str, Callable[[NimPlan, Launch], list[Document] | str]] = {
    "compose": compose,
    "operator": operator,
    "helm": helm,
    "slurm": slurm,
}
ACROSS_NODES = ("operator", "slurm")
"""Those that start one server on several nodes."""
