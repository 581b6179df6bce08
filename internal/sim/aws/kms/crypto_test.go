package kms_test

import (
	"bytes"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

func TestEncryption(t *testing.T) {
	t.Parallel()
	_, c, key := start(t)
	other, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	context := map[string]string{"app": "shop", "stage": "dev"}
	sealed, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("hidden"), EncryptionContext: context})
	must(t, err)
	if *sealed.KeyId != *key.Arn || bytes.Contains(sealed.CiphertextBlob, []byte("hidden")) {
		t.Errorf("%+v", sealed)
	}
	for _, name := range []*string{nil, key.KeyId, key.Arn} {
		opened, err := c.Decrypt(t.Context(), &kms.DecryptInput{KeyId: name, CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context})
		must(t, err)
		if string(opened.Plaintext) != "hidden" || *opened.KeyId != *key.Arn {
			t.Errorf("%+v", opened)
		}
	}
	broken := bytes.Clone(sealed.CiphertextBlob)
	broken[len(broken)-1]++
	for want, in := range map[string]*kms.DecryptInput{
		"InvalidCiphertextException":   {CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"app": "shop"}},
		"InvalidCiphertextException ":  {CiphertextBlob: sealed.CiphertextBlob},
		"InvalidCiphertextException  ": {CiphertextBlob: broken, EncryptionContext: context},
		"IncorrectKeyException":        {KeyId: other.KeyMetadata.Arn, CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context},
		"NotFoundException":            {KeyId: sdk.String("alias/none"), CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context},
	} {
		_, err := c.Decrypt(t.Context(), in)
		refused(t, err, string(bytes.TrimSpace([]byte(want))))
	}
	_, err = c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.Arn, Plaintext: make([]byte, 4097)})
	refused(t, err, "ValidationException")
	data, err := c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: key.Arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: context})
	must(t, err)
	opened, err := c.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: data.CiphertextBlob, EncryptionContext: context})
	must(t, err)
	if len(data.Plaintext) != 32 || !bytes.Equal(opened.Plaintext, data.Plaintext) {
		t.Errorf("%d bytes", len(data.Plaintext))
	}
	_, err = c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: key.Arn})
	refused(t, err, "ValidationException")
	_, err = c.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key.KeyId})
	must(t, err)
	_, err = c.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context})
	refused(t, err, "DisabledException")
	_, err = c.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: sdk.Int32(7)})
	must(t, err)
	_, err = c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
	refused(t, err, "KMSInvalidStateException")
}
