"""What `up` prints when the platform is ready."""

import json
from pathlib import Path

from launcher.private_files import read_json
from launcher.process_plan import RuntimeModels


def ready_banner(data: Path, port: int, *, seconds: float, models: RuntimeModels | None) -> str:
    """URLs, demo log-ins, a key and a curl line that works, as far as `$DATA/demo.json` knows them.
    `models` are those of the embedded runtime, if it runs.
    """
    demo = read_json(data / "demo.json")
    tenants = demo.get("tenants", {})
    lines = ["", f"  Atrium is ready ({seconds:.1f} s).", ""]
    for slug, entry in tenants.items():
        lines += [f"  {slug.capitalize():<11} http://{entry['host']}:{port}/"]
        lines += [_log_in(user["email"], user["password"], note) for user, note in _people(entry)]
    lines += [f"  {'Platform':<11} http://localhost:{port}/admin/"]
    if operator := demo.get("platform"):
        lines += [_log_in(operator["user"], operator["password"], "system admin")]
    if not tenants:
        lines += [
            "",
            (
                "  No demonstration. Make a tenant: .venv/bin/python manage.py tenant create SLUG --owner "
                "you@example.org"
            ),
        ]
    lines += _api_lines(tenants, port, models.demo if models else None)
    lines += _model_lines(models)
    return "\n".join([*lines, "", f"  Data and logs: {data}. Stop with Ctrl-C.", ""])


def _people(entry: dict) -> list[tuple[dict, str]]:
    """A tenant's users; the first one made is its owner."""
    return [
        (user, "owner" if index == 0 else "member")
        for index, user in enumerate(entry.get("users", {}).values())
    ]


def _log_in(email: str, password: str, note: str) -> str:
    return f"  {'':<11} {email:<24} {password:<20} {note}"


def _api_lines(tenants: dict, port: int, model: str | None) -> list[str]:
    key = next((entry["api_key"] for entry in tenants.values() if entry.get("api_key")), None)
    if key is None:
        return []
    lines = ["", f"  API key     {key}"]
    if model is None:
        return [*lines, f"  curl http://localhost:{port}/v1/models -H 'Authorization: Bearer {key}'"]
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello!"}]})
    return [
        *lines,
        f"  curl http://localhost:{port}/v1/chat/completions -H 'Authorization: Bearer {key}' \\",
        f"    -H 'Content-Type: application/json' -d '{body}'",
    ]


def _model_lines(models: RuntimeModels | None) -> list[str]:
    """What is not there, or not yet."""
    if models is None:
        return [
            "",
            (
                "  The embedded models are off: the [ml] packages (PyTorch) are not installed. Connections "
                "to other model servers work."
            ),
        ]
    lines = []
    if models.to_be_made:
        lines += ["", f"  Being made ready meanwhile, about a minute: {', '.join(models.to_be_made)}"]
    if models.missing:
        lines += [
            "",
            f"  Missing, since their files could not be fetched: {', '.join(models.missing)}. The next "
            "`make run` tries again.",
        ]
    return lines
