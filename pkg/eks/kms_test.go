package eks_test

import (
	"context"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/pkg/eks"
)

func TestKMSDecrypt(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	client := kms.NewFromConfig(s.Config())
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	arn := *made.KeyMetadata.Arn
	sealed, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &arn, Plaintext: []byte("data key"), EncryptionContext: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	role, err := iam.NewFromConfig(s.Config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: sdk.String("keys"), AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	var region string
	k := eks.KMS{Config: func(_ context.Context, in string) (sdk.Config, error) {
		region = in
		return s.Config(), nil
	}}
	for name, c := range map[string]struct {
		arn, role string
		context   map[string]string
		want      string
	}{
		"as itself":         {arn: arn, context: map[string]string{"a": "b"}},
		"as a role":         {arn: arn, role: *role.Role.Arn, context: map[string]string{"a": "b"}},
		"as no role":        {arn: arn, role: "arn:aws:iam::111122223333:role/none", context: map[string]string{"a": "b"}, want: "not authorized to perform: sts:AssumeRole"},
		"another context":   {arn: arn, want: "KMS:Decrypt: InvalidCiphertextException"},
		"no such key":       {arn: strings.Replace(arn, "key/", "key/0", 1), want: "KMS:Decrypt: NotFoundException"},
		"no ARN of a key":   {arn: "alias/shop", want: "not the ARN of a KMS key"},
		"ARN of no service": {arn: "arn:aws:s3:::bucket", want: "not the ARN of a KMS key"},
	} {
		got, err := k.Decrypt(t.Context(), c.arn, c.role, c.context, sealed.CiphertextBlob)
		switch {
		case c.want == "" && (err != nil || string(got) != "data key"):
			t.Errorf("%s: %q, %v", name, got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if region != "us-west-2" {
		t.Errorf("asked in %q", region)
	}
}
