"""What is encrypted with a key beside it: AES and ConvertTo-SecureString -Key.

Needs the package cryptography (the extra "crypto"); without it nothing is decrypted.
"""

import base64
import hashlib
from typing import Any

from psembed.powershell.unwrap.dotnet.values import Budget, Secure, Table, byte_string, text_of, whole_of

_SECURE_HEAD = "76492d1116743f0423413b16050a5345"  # of ConvertFrom-SecureString -Key
_AES_NAMES = ("aes", "aesmanaged", "aescryptoserviceprovider", "rijndaelmanaged", "aescng")
_HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")
_MOST_ROUNDS = 20_000  # of a key's derivation


def new(name: str, arguments: list, budget: Budget) -> Any:
    """Return an object of System.Security.Cryptography; KeyError for a type that is not covered."""
    if name in _AES_NAMES:
        return Table({"mode": "cbc", "padding": "pkcs7"}, "aes")
    plain = name.removesuffix("managed").removesuffix("cryptoserviceprovider").removesuffix("cng")
    if plain in _HASHES:
        return Table({"name": plain}, "hash")
    if name == "rfc2898derivebytes":
        password, salt, *rest = arguments
        rounds = whole_of(rest[0]) if rest else 1000
        if rounds > _MOST_ROUNDS:
            raise OverflowError("too many rounds")
        budget.spend(rounds * 64)
        secret = password.encode() if isinstance(password, str) else bytes(byte_string(password))
        return Table(
            {"made": hashlib.pbkdf2_hmac("sha1", secret, bytes(byte_string(salt)), rounds, 512)}, "bytes"
        )
    if name == "cryptostream":
        stream, transform = arguments[:2]
        return type(stream)(decrypted(budget, stream.data[stream.place :], transform.items))
    raise KeyError(name)


def decrypted(budget: Budget, data: Any, settings: dict) -> bytearray:
    """Return what AES data says, by settings key, iv, mode (CBC or ECB) and padding."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError as error:
        raise KeyError("cryptography") from error

    budget.spend(4 * len(data))
    if settings.get("does") == "createencryptor":
        raise ValueError("not covered")
    mode = text_of(settings.get("mode", "cbc")).lower()
    kind = modes.ECB() if mode in ("ecb", "2") else modes.CBC(bytes(byte_string(settings["iv"])))
    if mode not in ("ecb", "cbc", "1", "2"):
        raise ValueError("not covered")
    cipher = Cipher(algorithms.AES(bytes(byte_string(settings["key"]))), kind).decryptor()
    plain = cipher.update(bytes(data)) + cipher.finalize()
    padding = text_of(settings.get("padding", "pkcs7")).lower()
    if padding in ("pkcs7", "2"):
        if not 1 <= plain[-1] <= 16 or plain[-plain[-1] :] != plain[-1:] * plain[-1]:
            raise ValueError("another key")
        plain = plain[: -plain[-1]]
    return bytearray(plain)


def secure_string(budget: Budget, text: Any, key: Any) -> Secure:
    """Return what ConvertTo-SecureString -Key makes of a text."""
    text = text_of(text)
    budget.spend(4 * len(text))
    if not text.startswith(_SECURE_HEAD):
        raise ValueError("another form")
    _, iv, data = base64.b64decode(text[len(_SECURE_HEAD) :]).decode("utf-16-le").split("|")
    settings = {"key": byte_string(key), "iv": bytearray(base64.b64decode(iv))}
    return Secure(decrypted(budget, bytes.fromhex(data), settings).decode("utf-16-le"))
