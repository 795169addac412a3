"""Small git repositories and snapshots, and sources that point at them, for tests of fetching and history."""

import polars as pl
import pygit2

from psembed.sources import catalogue, snapshots

SIGNATURE = pygit2.Signature("Tester", "tester@example.com", 1_600_000_000, 0)
URL = "https://example.com/owner/scripts"


def bare(folder):
    """Make a bare repository."""
    return pygit2.init_repository(str(folder), bare=True, initial_head="main")


def commit(repository, files, parents=(), links=()):
    """Commit nested files without a work tree; return the commit id."""

    def tree(entries):
        builder, folders = repository.TreeBuilder(), {}
        for path, data in entries.items():
            head, _, rest = path.partition("/")
            if rest:
                folders.setdefault(head, {})[rest] = data
            else:
                mode = pygit2.enums.FileMode.LINK if path in links else pygit2.enums.FileMode.BLOB
                builder.insert(head, repository.create_blob(data), mode)
        for name, inside in folders.items():
            builder.insert(name, tree(inside), pygit2.enums.FileMode.TREE)
        return builder.write()

    return str(
        repository.create_commit(
            "refs/heads/main", SIGNATURE, SIGNATURE, "x", tree(files), [pygit2.Oid(hex=p) for p in parents]
        )
    )


def commit_all(repository, versions):
    """Commit one version after another, oldest first; return the id of the last commit."""
    parents = []
    for files in versions:
        parents = [commit(repository, files, parents)]
    return parents[0]


def catalogued(pin, **changes):
    """Return a catalogue of one source, of the repository owner/scripts unless told otherwise."""
    values = {
        "name": "scripts",
        "url": URL,
        "commit": pin,
        "include": ("*.ps1", "*.psm1"),
        "snippets": (),
        "licence": "MIT",
        "kind": "benign",
        "stratum": "human",
        "group": "scripts",
        **changes,
    }
    return {values["name"]: catalogue.Source(**values)}


def ready(path, rows, metadata=None):
    """Write a snapshot by other means; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(rows, schema={"path": pl.String, "blob": pl.String, "data": pl.Binary}, orient="row")
    frame.write_parquet(path, metadata=metadata)
    return path


def good_rows(files):
    """Return the rows of a snapshot of files ({path: data})."""
    return [(path, snapshots.blob_id(data), data) for path, data in files.items()]
