import pytest
from django.contrib.auth import get_user_model

@pytest.mark.django_db
def test_db():
    assert get_user_model().objects.count() == 0
