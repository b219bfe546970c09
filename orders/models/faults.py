"""The sandbox's fault switches as something with permissions and an audit. The switches are kept by the sandbox."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class FaultSwitch(models.Model):
    """The switches of one outside service. Has no table: an instance only names the service."""

    service = models.CharField(_("service"), max_length=20, primary_key=True)

    class Meta:
        managed = False
        default_permissions: ClassVar = ("view", "change")
        verbose_name = _("fault switches")
        verbose_name_plural = _("fault switches")

    def __str__(self) -> str:
        return self.service
