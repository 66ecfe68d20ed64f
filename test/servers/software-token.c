/*
 * A FIDO token that is a program, for tests: a middleware for OpenSSH's SecurityKeyProvider. It keeps nothing. The key
 * handle, which OpenSSH writes into the private key file, is the key itself; so it protects nobody. It confirms every touch
 * by itself, and takes one PIN where one is needed.
 *
 * Build it with: cc -shared -fPIC -o token.so software-token.c -lcrypto
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What OpenSSH's ssh-sk-helper asks a middleware for, since OpenSSH 8.9. */
#define API_VERSION 0x000a0000
#define ED25519 1
#define USER_PRESENT 1
#define USER_VERIFIED 4
#define FAILED (-1)
#define UNSUPPORTED (-2)
#define NEEDS_PIN (-3)
#define PIN "2718"
#define KEY_LENGTH 32
#define SIGNATURE_LENGTH 64
#define DIGEST_LENGTH 32

struct enrolled {
    uint8_t flags;
    uint8_t *public_key;
    size_t public_key_length;
    uint8_t *handle;
    size_t handle_length;
    uint8_t *signature;
    size_t signature_length;
    uint8_t *certificate;
    size_t certificate_length;
    uint8_t *data;
    size_t data_length;
};

struct signature {
    uint8_t flags;
    uint32_t counter;
    uint8_t *first;
    size_t first_length;
    uint8_t *second;
    size_t second_length;
};

uint32_t sk_api_version(void) {
    return API_VERSION;
}

int sk_enroll(uint32_t algorithm, const uint8_t *challenge, size_t challenge_length, const char *application,
              uint8_t flags, const char *pin, void **options, struct enrolled **result) {
    struct enrolled *made;
    EVP_PKEY *key;
    (void)challenge, (void)challenge_length, (void)application, (void)pin, (void)options;
    if (algorithm != ED25519) return UNSUPPORTED;
    if (!(made = calloc(1, sizeof *made))) return FAILED;
    made->flags = flags;
    made->handle_length = made->public_key_length = KEY_LENGTH;
    made->signature_length = 1;
    made->handle = calloc(1, KEY_LENGTH);
    made->public_key = calloc(1, KEY_LENGTH);
    made->signature = calloc(1, 1);
    if (!made->handle || !made->public_key || !made->signature) return FAILED;
    if (RAND_bytes(made->handle, KEY_LENGTH) != 1) return FAILED;
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, made->handle, KEY_LENGTH);
    if (!key || EVP_PKEY_get_raw_public_key(key, made->public_key, &made->public_key_length) != 1) return FAILED;
    EVP_PKEY_free(key);
    *result = made;
    return 0;
}

/* Signs the digest of the application, the flags, the counter and the digest of the data, as a token does. */
int sk_sign(uint32_t algorithm, const uint8_t *data, size_t length, const char *application, const uint8_t *handle,
            size_t handle_length, uint8_t flags, const char *pin, void **options, struct signature **result) {
    uint8_t text[DIGEST_LENGTH + 1 + 4 + DIGEST_LENGTH] = {0};
    struct signature *made;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY *key;
    (void)options;
    if (flags & USER_VERIFIED && (!pin || strcmp(pin, PIN))) return NEEDS_PIN;
    if (algorithm != ED25519 || handle_length != KEY_LENGTH) return UNSUPPORTED;
    if (!context || !(made = calloc(1, sizeof *made)) || !(made->first = calloc(1, SIGNATURE_LENGTH))) return FAILED;
    made->flags = USER_PRESENT | (flags & USER_VERIFIED);
    made->counter = 1;
    made->first_length = SIGNATURE_LENGTH;
    EVP_Digest(application, strlen(application), text, NULL, EVP_sha256(), NULL);
    text[DIGEST_LENGTH] = made->flags;
    text[DIGEST_LENGTH + 4] = (uint8_t)made->counter;
    EVP_Digest(data, length, text + DIGEST_LENGTH + 5, NULL, EVP_sha256(), NULL);
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, handle, handle_length);
    if (!key || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1) return FAILED;
    if (EVP_DigestSign(context, made->first, &made->first_length, text, sizeof text) != 1) return FAILED;
    EVP_PKEY_free(key);
    EVP_MD_CTX_free(context);
    *result = made;
    return 0;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count) {
    (void)pin, (void)options;
    *keys = NULL;
    *count = 0;
    return 0;
}
