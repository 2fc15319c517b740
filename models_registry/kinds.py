"""The vocabulary of this room. Kinds of connections: `providers/table.py`."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Location(models.TextChoices):
    """Where prompts are processed: policies such as “local only” and “EU only” are kept by it."""

    UNKNOWN = "", _("unknown")
    LOCAL = "local", _("in this installation's own network")
    EU = "eu", _("European Union")
    US = "us", _("United States")
    CN = "cn", _("China")
    OTHER = "other", _("elsewhere")


class DataPolicy(models.TextChoices):
    """Where an organisation lets its data go. It binds the choice of an endpoint and of what stands in."""

    ANYWHERE = "", _("anywhere")
    EU = "eu", _("European Union only")
    LOCAL = "local", _("this installation's own network only")


class ModelKind(models.TextChoices):
    CHAT = "chat", _("chat")
    EMBEDDING = "embedding", _("embedding")
    RERANK = "rerank", _("reranking")
    IMAGE = "image", _("image generation")
    SPEECH = "speech", _("speech output")
    TRANSCRIPTION = "transcription", _("transcription")


class Channel(models.TextChoices):
    STABLE = "stable", _("stable")
    EXPERIMENTAL = "experimental", _("experimental")
    DEPRECATED = "deprecated", _("deprecated")
    RETIRED = "retired", _("retired")
