"""Which checks of the conformance suite the fake does not promise to pass, and why."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NOT_CONFORMING"]

_SHELL = "its little shell has no loops, functions, options, traps or here-documents"
_PROGRAMS = "it has no real programs such as perl, find and sort"
_PROCESSES = "nothing runs in it: no background jobs, no signals, no process table"
_LIMITS = "it has no limits but output_bytes"
_KERNEL = "there is no kernel behind it: no network, no capabilities, no devices"

NOT_CONFORMING: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("exec_output_order", "exec_output_cap", "exec_output_10mb", "exec_deadline_stubborn"),
            *("exec_deadline_busy", "exec_deadline_output", "exec_deadline_pipeline", "shell_state"),
            *("shell_options", "shell_output_is_clean", "shell_output_order", "shell_unicode"),
            *("shell_output_cap", "shell_script", "shell_set_e", "shell_redefined", "shell_traps"),
            *("shell_big_command", "deadline_of_list", "deadline_of_pipeline", "deadline_of_busy_loop"),
            *("deadline_ignored_by_child", "deadline_ignored_by_shell", "freeze_ends_everything"),
        ),
        _SHELL,
    ),
    **dict.fromkeys(
        (
            *("shell_output_long_line", "shell_reads_stdin", "deadline_of_flood", "many_files"),
            *("put_states", "put_removes", "load_archive"),
        ),
        _PROGRAMS,
    ),
    **dict.fromkeys(
        (
            *("exec_sees_only_its_own", "deadline_of_stopped", "background_job", "background_output"),
            *("background_outlives_shell", "state_survives_commands", "commit_keeps_no_process"),
            *("bomb_of_forks", "shell_kill_everything", "no_signals_to_the_host"),
        ),
        _PROCESSES,
    ),
    **dict.fromkeys(("limit_of_processes", "hog_of_memory", "hog_of_disk"), _LIMITS),
    **dict.fromkeys(
        (
            *("no_network", "no_network_to_the_host", "loopback", "no_privileges", "ordinary_work"),
            *("no_processes_of_the_host", "no_trace_of_the_host"),
        ),
        _KERNEL,
    ),
}
"""Name of the check → why. Much of it would pass by chance; what is not meant is not promised."""
