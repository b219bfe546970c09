"""The site-wide part of the operator's console: people, task results, the audit."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from project.admin.audit import AuditAdmin
from project.admin.people import GroupAdmin, UserAdmin
from project.admin.results import GroupResultAdmin, TaskResultAdmin

admin.site.index_title = _("Dashboard")
admin.site.index_template = "admin/console/dashboard.html"

__all__ = ["AuditAdmin", "GroupAdmin", "GroupResultAdmin", "TaskResultAdmin", "UserAdmin"]
