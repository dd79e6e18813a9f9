"""Help of a command: arguments as they are typed, and long lists of options in groups."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

# A command with more options than this shows them under the headings of their `rich_help_panel`.
UNGROUPED = 12


class Command(TyperCommand):
    """A command with plain help text, for every version of typer."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the placeholders of the usage line, such as ``[OPTIONS] INPUT... OUTPUT``."""
        return ["[OPTIONS]", *(placeholder(p) for p in self.params if p.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options, the latter under headings if there are many."""
        shown = [(p, record) for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
        grouped = sum(p.param_type_name == "option" for p, _ in shown) > UNGROUPED
        sections: dict[str, list[tuple[str, str]]] = {}
        for param, (name, text) in shown:
            if param.param_type_name == "argument":
                title, name, text = "Arguments", placeholder(param), text.removesuffix("  [required]")
            else:
                title = (grouped and getattr(param, "rich_help_panel", None)) or "Options"
                text = text.replace("x>=", f"{param.metavar}>=")
            sections.setdefault(title, []).append((name, text))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def placeholder(argument: Any) -> str:
    """Return the name of an argument in the usage line."""
    return str(argument.metavar or argument.name.upper())
