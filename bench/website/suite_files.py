"""The reference of the shipped suites: what each runs, and the text of its file."""

from bench import suite


def page() -> str:
    """Write every shipped suite."""
    parts = ["# Suites\n\nA suite is a file of TOML. [Running](running.md#suites) explains its keys.\n"]
    for each in map(suite.load, suite.names()):
        spent = (
            f"{each.budget.episodes} episodes" if each.budget.episodes else f"{each.budget.env_steps} environment steps"
        )
        text = (suite.SHIPPED_FOLDER / f"{each.name}.toml").read_text(encoding="utf-8")
        parts.append(
            f"## {each.name}\n\n{each.description}.\n\n{len(each.tasks)} tasks, {len(each.methods)} methods, "
            f"{each.seeds} seeds, {spent} a run.\n\n```toml\n{text}```\n"
        )
    return "\n".join(parts)
