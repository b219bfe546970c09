"""Signing up. Signing in and out are Django's own views."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model, login
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.views import RedirectURLMixin
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

NOT_TO_BE_HAD = _("This user name cannot be had. Please choose another one.")
RESERVED = frozenset(
    {"admin", "administrator", "root", "support", "system", "todoke", "staff", "shop", "test"}
)


class SignUpForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A user name, an address for letters, and a password that the validators accept.

    Names that are taken and names that nobody can have get the same answer, whatever their case, and whether an
    e-mail address belongs to an account is never told. Not guaranteed: that nobody guesses which names are in use;
    where customers choose them, a refusal always is a hint.
    """

    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        help_text=_("We write to you there when something happens to an order."),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    class Meta:
        model = get_user_model()
        fields = ("username", "email")

    def clean_username(self) -> str:
        """Taken or reserved: no difference to whoever asks."""
        name: str = self.cleaned_data["username"]
        if name.lower() in RESERVED or get_user_model().objects.filter(username__iexact=name).exists():
            raise forms.ValidationError(NOT_TO_BE_HAD)
        return name

    def validate_unique(self) -> None:
        """Django's own check would tell that a name is taken; :meth:`clean_username` answers instead."""


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class SignUpView(RedirectURLMixin, FormView):  # type: ignore[type-arg]
    """Makes an account, signs it in, and leads back to where the customer came from: on this site only."""

    form_class = SignUpForm
    template_name = "registration/sign_up.html"
    next_page = "orders:catalogue"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Who has an account and is signed in needs none."""
        if request.user.is_authenticated:
            return redirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        """Two forms with one name at the same time: the database lets one of them have it."""
        try:
            with transaction.atomic():
                user = form.save()
        except IntegrityError:
            form.add_error("username", NOT_TO_BE_HAD)
            return self.form_invalid(form)
        login(self.request, user)
        return redirect(self.get_success_url())

    def form_invalid(self, form: SignUpForm) -> HttpResponse:
        """What is wrong is said next to its field."""
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """``next`` survives the form."""
        return super().get_context_data(**kwargs) | {"next": self.get_redirect_url()}
