package eks

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// KMS decrypts with keys of AWS Key Management Service, each in its own region. It is safe for concurrent use.
type KMS struct {
	// Config is the identity of this process in a region.
	Config func(ctx context.Context, region string) (aws.Config, error)
}

// Decrypt decrypts what a key encrypted under an encryption context, as the role, if one is named. Errors tell of neither.
func (k KMS) Decrypt(ctx context.Context, keyARN, role string, encryptionContext map[string]string, blob []byte) ([]byte, error) {
	parts := strings.SplitN(keyARN, ":", 6) // arn:PARTITION:kms:REGION:ACCOUNT:key/ID
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != "kms" || parts[3] == "" {
		return nil, fmt.Errorf("%q is not the ARN of a KMS key", keyARN)
	}
	cfg, err := k.Config(ctx, parts[3])
	if err != nil {
		return nil, err
	}
	if role != "" {
		cfg = Role{ARN: role, Session: "reconciler"}.Assume(cfg)
	}
	out, err := kms.NewFromConfig(cfg).Decrypt(ctx, &kms.DecryptInput{KeyId: &keyARN, CiphertextBlob: blob, EncryptionContext: encryptionContext})
	if err != nil {
		return nil, failure(gitops.DecryptFailed, gitops.Ref{}, err).Err
	}
	return out.Plaintext, nil
}
