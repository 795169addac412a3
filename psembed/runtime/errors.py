"""One base class for everything psembed refuses; each message names the value and the way out."""


class PsembedError(Exception):
    """Base class. The message says what was given, what was expected and what to do."""


class SourceError(PsembedError):
    """A source, mirror, snapshot or archive is missing, damaged or out of bounds."""


class CorpusError(PsembedError):
    """A corpus is empty, has one class only, or lacks a column."""


class SplitError(PsembedError):
    """A split would leak, or leaves a class out of a part."""


class ModelError(PsembedError):
    """A stored model, tokenizer or vectors file is damaged or of another version."""


class UnknownTokenError(PsembedError):
    """A token that was asked for is not in the vocabulary."""


class TooFewNegativesError(PsembedError):
    """The false-positive rate asked for cannot be resolved with so few negatives."""


class ParameterError(PsembedError):
    """A profile or parameter is unknown, unused or of the wrong type."""


class StageError(PsembedError):
    """A notebook failed, or the files it needs have not been made."""
