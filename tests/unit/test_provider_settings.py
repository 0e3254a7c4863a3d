from __future__ import annotations

import pytest
from pydantic import ValidationError

from settings import Settings

KEYS = {
    "tencentcloud_secret_id": "AKIDvery-secret",
    "tencentcloud_secret_key": "very-secret",
    "openai_api_key": "sk-very-secret",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tencent_model_edition": "rapid", "tencent_generate_type": "Sketch"}, "TENCENT_GENERATE_TYPE"),
        ({"tencent_model_version": "3.1", "tencent_generate_type": "LowPoly"}, "TENCENT_MODEL_VERSION"),
        ({"tencent_face_count": 2999}, "3000"),
        ({"tencent_face_count": 1_500_001}, "1500000"),
        ({"tencent_model_edition": "fast"}, "rapid"),
        ({"tencent_timeout_seconds": 0}, "greater than 0"),
        ({"tencentcloud_endpoint": "https://example.com/path"}, "scheme and host"),
        ({"tencentcloud_endpoint": "https://user:very-secret@example.com"}, "no user name"),
        ({"openai_base_url": "https://very-secret@example.com/v1"}, "no user name"),
        ({"jwt_jwks_url": "https://user:very-secret@example.com/keys"}, "no user name"),
        ({"openai_image_size": "large"}, "1024x1024"),
        ({"openai_image_shape": "azure"}, "siliconflow"),
        ({"openai_api_key": "sk-very-secret\n"}, "printable"),
        ({"tencentcloud_secret_id": "AKID very-secret"}, "printable"),
        ({"tencentcloud_secret_key": "very-sécret"}, "printable"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(changes, words):
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None, **changes)
    (first,) = caught.value.errors(include_url=False, include_input=False)
    assert words in first["msg"]
    assert "very-s" not in first["msg"]


def test_keys_are_not_shown():
    settings = Settings(_env_file=None, **KEYS)
    assert "very-secret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_good_settings():
    changes = {"tencent_model_edition": "rapid", "tencent_generate_type": "Normal", "openai_image_size": "auto"}
    assert Settings(_env_file=None, tencentcloud_endpoint="http://127.0.0.1:8080/", **changes).tencentcloud_endpoint
