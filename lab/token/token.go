// Package token makes the bearer tokens with which AWS principals come to EKS clusters.
//
// Input: a cluster's name and an access key. Output: "k8s-aws-v1." and the base64 of a presigned GetCallerIdentity request that
// carries the cluster's name in a signed header, as aws eks get-token, eksctl and aws-iam-authenticator make it
// (https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster). Invariant: the secret
// key does not get into the token.
package token

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Lifetime is for how long a token is good: clusters refuse it 15 minutes after it was signed; the last minute is left out.
const Lifetime = 14 * time.Minute

// Key is an access key.
type Key struct{ ID, Secret, Session string }

// Request says what a token is for.
type Request struct {
	Cluster, Region string
	STS             string // URL of the service
	Key             Key
	Now             time.Time
}

// emptyPayload is the SHA-256 of nothing.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// New makes a token.
func New(ctx context.Context, r Request) (string, error) {
	const query = "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.STS+query, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("making a token for %s: %w", r.Cluster, err)
	}
	request.Header.Set("x-k8s-aws-id", r.Cluster)
	url, _, err := v4.NewSigner().PresignHTTP(ctx, aws.Credentials{
		AccessKeyID: r.Key.ID, SecretAccessKey: r.Key.Secret, SessionToken: r.Key.Session,
	}, request, emptyPayload, "sts", r.Region, r.Now)
	if err != nil {
		return "", fmt.Errorf("signing a token for %s: %w", r.Cluster, err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(url)), nil
}
