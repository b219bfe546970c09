"""Accounts and groups, in the console's theme."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister(User)  # registered by Django when its module was imported, above
admin.site.unregister(Group)


class PermissionsMixin:
    """Names permissions in the reader's language: the database has their names in English."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Django's field, with other names where it is of permissions."""
        field = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]  # ModelAdmin's
        if field is not None and db_field.related_model is Permission:
            field.label_from_instance = _name
        return field


@admin.register(User)
class UserAdmin(PermissionsMixin, DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg, misc, unused-ignore]  # stubs differ
    """Accounts."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "last_login")


@admin.register(Group)
class GroupAdmin(PermissionsMixin, DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc, unused-ignore]  # Unfold ships no types
    """Groups. Operators and Readers get back what they must have at each migration."""


def _name(permission: Permission) -> str:
    """A permission with what it is for: Django's own four, or one that a model declares."""
    kind = permission.content_type
    verb = permission.codename.partition("_")[0]
    own = {
        "add": _("Can add %(what)s"),
        "change": _("Can change %(what)s"),
        "delete": _("Can delete %(what)s"),
        "view": _("Can view %(what)s"),
    }
    is_own = permission.codename == f"{verb}_{kind.model}" and verb in own
    return f"{kind} | {own[verb] % {'what': kind.name} if is_own else _(permission.name)}"
