package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Access is how the cluster's API server is reached.
type Access struct {
	// Server is its URL, CA its certificate authority in PEM.
	Server string
	CA     []byte
	// Token gives a bearer token; it makes no call. A token is good for 15 minutes on EKS and is made anew on each call,
	// so a caller may keep one for TokenLife.
	Token func(context.Context) (string, error)
}

// TokenLife is how long a caller may use one token. The URL inside is signed for 60 s as eksctl and the AWS CLI do, which
// EKS extends to 15 minutes; a plain webhook may not, so it stays below the 60 s.
const TokenLife = 45 * time.Second

// ErrNoCluster says that AWS was read and there is certainly no API server yet. Every other error of Access means that it
// is unknown whether there is one.
var ErrNoCluster = errors.New("the cluster does not exist yet")

// Access tells how to reach the cluster as of the last look, or as of the one that is under way: it reads inside the cluster, too.
func (c *Cloud) Access() (Access, error) {
	cfg, w := c.known()
	c.mu.Lock()
	if c.arriving != nil {
		w = c.arriving
	}
	c.mu.Unlock()
	if cfg == nil || w == nil {
		return Access{}, gitops.Errorf(gitops.Blocked, "what runs in the cluster was not looked at: AWS tells where its API server is, and AWS was not read")
	}
	if problem := cfg.foreign(w); problem != nil {
		return Access{}, problem
	}
	cl := w.Cluster
	// What runs in a cluster that ends was looked at before its end was asked for; on the way there its API server goes.
	leaving := c.Teardown && cl != nil && cl.Status == ekstypes.ClusterStatusDeleting
	if cl == nil || leaving || cl.Status == ekstypes.ClusterStatusCreating || cl.Status == ekstypes.ClusterStatusFailed || aws.ToString(cl.Endpoint) == "" || cl.CertificateAuthority == nil {
		return Access{}, ErrNoCluster
	}
	ca, err := base64.StdEncoding.DecodeString(aws.ToString(cl.CertificateAuthority.Data))
	if err != nil {
		return Access{}, gitops.Errorf(gitops.ObserveFailed, "reading the certificate authority of cluster %s: %w", cfg.Name, err)
	}
	return Access{Server: aws.ToString(cl.Endpoint), CA: ca, Token: func(ctx context.Context) (string, error) { return c.token(ctx, cfg.Name) }}, nil
}

// arrive says, until leave is called, how a sweep found the cluster.
func (c *Cloud) arrive(w *world) (leave func()) {
	found := *w
	c.mu.Lock()
	c.arriving = &found
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.arriving = nil
		c.mu.Unlock()
	}
}

// token is a presigned GetCallerIdentity with the cluster's name signed in, as aws-iam-authenticator defines it
// (sigs.k8s.io/aws-iam-authenticator, "API Authorization from Outside a Cluster").
func (c *Cloud) token(ctx context.Context, cluster string) (string, error) {
	presigner := sts.NewPresignClient(c.aws.sts)
	request, err := presigner.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
			o.APIOptions = append(o.APIOptions,
				smithyhttp.SetHeaderValue("x-k8s-aws-id", cluster),
				smithyhttp.SetHeaderValue("X-Amz-Expires", "60"))
		})
	})
	if err != nil {
		return "", fmt.Errorf("signing a token for cluster %s: %w", cluster, err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(request.URL)), nil
}
