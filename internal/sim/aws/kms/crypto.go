package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// A ciphertext is the id of its key, a nonce, and what AES-GCM makes of the plaintext with the encryption context as additional
// data, as AWS documents that of symmetric keys (its own form is not documented): it opens with that key and context alone.

// EncryptInput is up to 4096 bytes to encrypt.
type EncryptInput struct {
	KeyID               string `json:"KeyId"`
	Plaintext           []byte
	EncryptionContext   map[string]string
	EncryptionAlgorithm string
}

// EncryptOutput is the ciphertext.
type EncryptOutput struct {
	KeyID               string `json:"KeyId"`
	CiphertextBlob      []byte
	EncryptionAlgorithm string
}

func (s *Service) encrypt(_ context.Context, _ wire.Caller, in *EncryptInput) (*EncryptOutput, error) {
	if len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
		return nil, wire.Errorf("ValidationException", "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and 4096")
	}
	k, err := s.usable(in.KeyID, in.EncryptionAlgorithm)
	if err != nil {
		return nil, err
	}
	return &EncryptOutput{KeyID: s.arn(k.ID), CiphertextBlob: k.seal(in.Plaintext, in.EncryptionContext), EncryptionAlgorithm: symmetric}, nil
}

// DecryptInput is a ciphertext. The key need not be named: the ciphertext tells.
type DecryptInput struct {
	KeyID               string `json:"KeyId"`
	CiphertextBlob      []byte
	EncryptionContext   map[string]string
	EncryptionAlgorithm string
}

// DecryptOutput is the plaintext, and the key that it was encrypted with.
type DecryptOutput struct {
	KeyID               string `json:"KeyId"`
	Plaintext           []byte
	EncryptionAlgorithm string
}

func (s *Service) decrypt(_ context.Context, _ wire.Caller, in *DecryptInput) (*DecryptOutput, error) {
	id, body, _ := strings.Cut(string(in.CiphertextBlob), " ")
	if in.KeyID != "" {
		named, err := s.find(in.KeyID)
		if err != nil {
			return nil, err
		}
		if named.ID != id && s.state.Keys[id] != nil {
			return nil, wire.Errorf("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
		}
	}
	if s.state.Keys[id] == nil {
		return nil, wire.Errorf("InvalidCiphertextException", "")
	}
	k, err := s.usable(id, in.EncryptionAlgorithm)
	if err != nil {
		return nil, err
	}
	plain, ok := k.open([]byte(body), in.EncryptionContext)
	if !ok {
		return nil, wire.Errorf("InvalidCiphertextException", "")
	}
	return &DecryptOutput{KeyID: s.arn(k.ID), Plaintext: plain, EncryptionAlgorithm: symmetric}, nil
}

// GenerateDataKeyInput asks for a random key of a length or of a kind.
type GenerateDataKeyInput struct {
	KeyID             string `json:"KeyId"`
	KeySpec           string
	NumberOfBytes     int
	EncryptionContext map[string]string
}

// GenerateDataKeyOutput is the key, in plain and encrypted.
type GenerateDataKeyOutput struct {
	KeyID          string `json:"KeyId"`
	Plaintext      []byte
	CiphertextBlob []byte
}

func (s *Service) generateDataKey(_ context.Context, _ wire.Caller, in *GenerateDataKeyInput) (*GenerateDataKeyOutput, error) {
	size, known := map[string]int{"AES_128": 16, "AES_256": 32, "": in.NumberOfBytes}[in.KeySpec]
	if !known || size < 1 || size > 1024 || in.KeySpec != "" && in.NumberOfBytes != 0 {
		return nil, wire.Errorf("ValidationException", "Please specify either number of bytes or key spec.")
	}
	k, err := s.usable(in.KeyID, "")
	if err != nil {
		return nil, err
	}
	plain := make([]byte, size)
	_, _ = rand.Read(plain) // never fails (crypto/rand since Go 1.24)
	return &GenerateDataKeyOutput{KeyID: s.arn(k.ID), Plaintext: plain, CiphertextBlob: k.seal(plain, in.EncryptionContext)}, nil
}

const symmetric = "SYMMETRIC_DEFAULT"

// usable finds a key that may be used.
func (s *Service) usable(name, algorithm string) (*key, error) {
	if algorithm != "" && algorithm != symmetric {
		return nil, wire.Unsupported("encryption algorithm %s", algorithm)
	}
	k, err := s.findLiving(name)
	if err == nil && k.State == Disabled {
		return nil, wire.Errorf("DisabledException", "%s is disabled.", s.arn(k.ID))
	}
	return k, err
}

// gcm is the cipher of a key. Its material is made when it is first needed.
func (k *key) gcm() cipher.AEAD {
	if len(k.Material) == 0 {
		k.Material = make([]byte, 32)
		_, _ = rand.Read(k.Material)
	}
	block, err := aes.NewCipher(k.Material)
	if err != nil {
		panic(err) // the length is right
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block size is AES's
	}
	return gcm
}

func (k *key) seal(plain []byte, encryptionContext map[string]string) []byte {
	return append([]byte(k.ID+" "), k.gcm().Seal(nil, nil, plain, additional(encryptionContext))...)
}

func (k *key) open(body []byte, encryptionContext map[string]string) ([]byte, bool) {
	plain, err := k.gcm().Open(nil, nil, body, additional(encryptionContext))
	return plain, err == nil
}

// additional is an encryption context in one form, whatever the order of its pairs.
func additional(encryptionContext map[string]string) []byte {
	if len(encryptionContext) == 0 {
		return nil
	}
	body, err := json.Marshal(encryptionContext)
	if err != nil {
		panic(err) // texts have a JSON form
	}
	return body
}
