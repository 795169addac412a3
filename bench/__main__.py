"""`python -m bench` in a clone: everything measured, stored among the results and shown."""

from bench import speed
from psembed.project.workspace import project_root
from psembed.runtime.progress import table

if __name__ == "__main__":
    results = speed.main(project_root())
    print(table(("measured", "value"), {k: v for k, v in results.items() if not isinstance(v, dict)}.items()))
