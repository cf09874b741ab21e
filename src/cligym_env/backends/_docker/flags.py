"""What a container is started with; each flag was tested against what it is there to stop."""

from __future__ import annotations

from typing import Any

from cligym_env.core import Limits

__all__ = ["host_config"]

_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "KILL"),
    *("SETFCAP", "NET_BIND_SERVICE", "SYS_CHROOT"),
)
_MAX_FILE_BYTES = 1 << 30
_SHM_BYTES = 64 << 20


def host_config(api: Any, limits: Limits) -> dict[str, Any]:
    """Translate limits into the engine's own words."""
    config: dict[str, Any] = api.create_host_config(
        network_mode="bridge" if limits.network else "none",
        log_config={"Type": "none"},  # else what is printed through /proc/1/fd/1 fills the host's disk
        pids_limit=limits.n_pids,
        mem_limit=limits.memory_bytes,
        memswap_limit=limits.memory_bytes,
        nano_cpus=int(limits.n_cpus * 1e9),
        shm_size=min(_SHM_BYTES, limits.memory_bytes),
        ulimits=[
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": 4096, "Hard": 4096},
            {
                "Name": "fsize",
                "Soft": min(_MAX_FILE_BYTES, limits.disk_bytes),
                "Hard": min(_MAX_FILE_BYTES, limits.disk_bytes),
            },
        ],
        security_opt=["no-new-privileges:true"],
        cap_drop=["ALL"],
        cap_add=list(_CAPABILITIES),
    )
    return config
