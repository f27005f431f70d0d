//! Secrets from where the configuration says that they are, and signatures with them.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::{hmac, signature};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use weft_ingest::pull::ToSign;

use crate::config::Secret;

/// Longest file with a secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Reads all; they may have changed since they were read last.
///
/// # Errors
/// For a person; never with a part of a secret.
pub(crate) fn read(secrets: &BTreeMap<String, Secret>) -> Result<BTreeMap<String, String>, String> {
    secrets.iter().map(|(name, secret)| Ok((name.clone(), one(secret).map_err(|message| format!("the secret `{name}`: {message}"))?))).collect()
}

/// One of them.
///
/// # Errors
/// For a person; never with a part of the secret.
pub(crate) fn one(secret: &Secret) -> Result<String, String> {
    let (text, at, place) = match secret {
        Secret::Env { variable, at } => {
            let text = std::env::var(variable).map_err(|_| format!("the variable `{variable}` is not set"))?;
            (text, at, format!("the variable `{variable}`"))
        }
        Secret::File { path, at } => (file(path)?, at, format!("`{}`", path.display())),
    };
    let text = match at {
        Some(pointer) => {
            let document: Value = serde_json::from_str(&text).map_err(|_| format!("{place} is no JSON document"))?;
            document.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("{place} has no text at `{pointer}`"))?.to_owned()
        }
        None => text.trim_end_matches(['\r', '\n']).to_owned(),
    };
    if text.is_empty() { Err(format!("{place} is empty")) } else { Ok(text) }
}

fn file(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > SECRET_BYTES_MAX {
        return Err(format!("`{}` is {length} bytes long, which is no secret", path.display()));
    }
    std::fs::read_to_string(path).map_err(told)
}

/// A JSON Web Token in its compact form (RFC 7515, section 7.1), signed.
///
/// # Errors
/// The key is none.
pub(crate) fn token(to_sign: &ToSign) -> Result<String, String> {
    let ToSign::Jwt { algorithm, key_id, key, claims } = to_sign else { return Err("there is no token to sign".to_owned()) };
    let mut header = json!({"alg": algorithm, "typ": "JWT"});
    if let (Some(fields), Some(key_id)) = (header.as_object_mut(), key_id) {
        fields.insert("kid".to_owned(), key_id.as_str().into());
    }
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(Value::Object(claims.clone()).to_string().as_bytes()));
    let wrong = || format!("the private key must be PEM, of the kind that {algorithm} asks for");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| wrong())?;
    let signature = if *algorithm == "ES256" { ecdsa(&key, signed.as_bytes()) } else { rsa(&key, signed.as_bytes()) };
    Ok(format!("{signed}.{}", encode(&signature.ok_or_else(wrong)?)))
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
fn rsa(key: &PrivateKeyDer<'_>, text: &[u8]) -> Option<Vec<u8>> {
    let pair = match key {
        PrivateKeyDer::Pkcs8(der) => signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => signature::RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return None,
    };
    let pair = pair.ok()?;
    let mut made = vec![0; pair.public().modulus_len()];
    pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut made).ok()?;
    Some(made)
}

/// ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4).
fn ecdsa(key: &PrivateKeyDer<'_>, text: &[u8]) -> Option<Vec<u8>> {
    let PrivateKeyDer::Pkcs8(der) = key else { return None };
    let random = SystemRandom::new();
    let pair = signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random).ok()?;
    Some(pair.sign(&random, text).ok()?.as_ref().to_vec())
}

/// User and password of a signed request.
pub(crate) fn password(to_sign: &ToSign) -> Option<(String, String)> {
    let ToSign::Hmac { user, key, text } = to_sign else { return None };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes()), text.as_bytes());
    Some((user.clone(), tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_files_and_are_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        std::fs::write(&path, "{\"private_key\":\"not to be told\\n\",\"n\":1}").unwrap();
        let secret = |at: Option<&str>| BTreeMap::from([("k".to_owned(), Secret::File { path: path.clone(), at: at.map(str::to_owned) })]);
        assert_eq!(read(&secret(Some("/private_key"))).unwrap()["k"], "not to be told\n");
        assert!(read(&secret(None)).unwrap()["k"].starts_with('{'));
        let told = read(&secret(Some("/n"))).unwrap_err();
        assert!(told.contains("has no text at `/n`") && !told.contains("to be told"), "{told}");
        let missing = BTreeMap::from([("t".to_owned(), Secret::Env { variable: "WEFT_NO_SUCH_VARIABLE".to_owned(), at: None })]);
        assert_eq!(read(&missing).unwrap_err(), "the secret `t`: the variable `WEFT_NO_SUCH_VARIABLE` is not set");
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_of_rfc_4231() {
        let to_sign = ToSign::Hmac { user: "u".to_owned(), key: "Jefe".to_owned(), text: "what do ya want for nothing?".to_owned() };
        let (_, digits) = password(&to_sign).unwrap();
        assert!(digits.starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"), "{digits}");
    }

    #[test]
    fn a_token_is_one_of_its_key() {
        use ring::signature::KeyPair as _;
        let random = SystemRandom::new();
        let der = signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", base64::engine::general_purpose::STANDARD.encode(der.as_ref()));
        let claims = json!({"iss": "me"}).as_object().cloned().unwrap();
        let made = token(&ToSign::Jwt { algorithm: "ES256", key_id: Some("k1".to_owned()), key: pem, claims }).unwrap();
        let (signed, mark) = made.rsplit_once('.').unwrap();
        let public = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert!(public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(mark).unwrap()).is_ok());
        let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(head, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
    }

    #[test]
    fn a_key_that_is_none_is_told() {
        let to_sign = ToSign::Jwt { algorithm: "RS256", key_id: None, key: "nonsense".to_owned(), claims: serde_json::Map::new() };
        assert_eq!(token(&to_sign).unwrap_err(), "the private key must be PEM, of the kind that RS256 asks for");
    }
}
