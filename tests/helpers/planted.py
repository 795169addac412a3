"""A detector with planted scores, for what it makes of them."""

import base64

from psembed.detector.detector import Detector


class Layered(Detector):
    """Scores a text by the words in it, each of which adds what it is planted with; 1 at most."""

    def __init__(self, **scores: float):
        self.threshold, self.planted = 0.5, scores

    def _scores(self, texts):
        return [min(1.0, sum(self.planted.get(word, 0.0) for word in set(text.split()))) for text in texts]

    def view(self, clean):
        return clean


def encoded(script: str) -> str:
    """Return a script as -EncodedCommand takes it."""
    return base64.b64encode(script.encode("utf-16-le")).decode()
