"""A detector with planted scores, for what it makes of them."""

import base64

from psembed.detector.detector import Detector


class Layered(Detector):
    """Scores a text by its first word."""

    def __init__(self, **scores: float):
        self.threshold, self.layer_threshold, self.planted = 0.5, 0.7869, scores

    def _scores(self, texts):
        return [self.planted[text.split()[0]] for text in texts]

    def view(self, clean):
        return clean


def encoded(script: str) -> str:
    """Return a script as -EncodedCommand takes it."""
    return base64.b64encode(script.encode("utf-16-le")).decode()
