package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Identity is a caller as Kubernetes sees it.
type Identity struct {
	// Principal is the user's or role's ARN in IAM, whatever session it acts in.
	Principal string
	// Mapped says that EKS itself lets the principal in. Otherwise only the aws-auth ConfigMap of the cluster, which EKS does
	// not see, may; Username and Groups are then empty.
	Mapped   bool
	Username string
	UID      string
	Groups   []string
	Extra    map[string][]string
	// Grants are the access policies of the principal.
	Grants []Grant
}

// Grant is an access policy and where it holds.
type Grant struct {
	Policy string // "AmazonEKSViewPolicy"
	// Role is the ClusterRole of Kubernetes that reaches as far, or empty if there is none.
	Role string
	// Namespaces are name patterns in which * stands for anything; none means the whole cluster.
	Namespaces []string
}

// ErrNoAccess is why an authentic principal is not let in.
var ErrNoAccess = errors.New("the principal has no access to the cluster")

const (
	tokenStart     = "k8s-aws-v1."
	clusterHeader  = "x-k8s-aws-id"
	tokenLifetime  = 15 * time.Minute
	maxTokenLength = 4 * 1024
)

// Authenticate tells whose token this is and what the cluster makes of them. A token is a presigned request to STS for
// GetCallerIdentity with the cluster's name in a signed header, valid for 15 minutes after it was signed whatever it says
// itself (https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/master/pkg/token/token.go, the rules of Verify). It must
// not be called under the world's lock. The error is ErrNoAccess if the token is good and its principal is not let in.
func (s *Service) Authenticate(_ context.Context, cluster, token string) (Identity, error) {
	r, err := tokenRequest(cluster, token)
	if err != nil {
		return Identity{}, fmt.Errorf("reading token: %w", err)
	}
	signature, err := wire.ParseSignature(r)
	if err != nil {
		return Identity{}, fmt.Errorf("reading token: %w", err)
	}
	if !slices.Contains(signature.SignedHeaders, clusterHeader) {
		return Identity{}, fmt.Errorf("reading token: header %s is not signed", clusterHeader)
	}
	if signature.Service != "sts" {
		return Identity{}, fmt.Errorf("reading token: it is signed for %s, not for sts", signature.Service)
	}
	signature.Lifetime = tokenLifetime
	caller, err := s.verifier.Verify(r, signature, nil)
	if err != nil {
		return Identity{}, fmt.Errorf("verifying token: %w", err)
	}
	var out Identity
	err = s.world.Do(false, func() error {
		out, err = s.identify(cluster, caller)
		return err
	})
	return out, err
}

// tokenRequest is the request that a token stands for, with the cluster's header as the cluster would send it.
func tokenRequest(cluster, token string) (*http.Request, error) {
	if len(token) > maxTokenLength {
		return nil, errors.New("it is too large")
	}
	encoded, ok := strings.CutPrefix(token, tokenStart)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %q", tokenStart)
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		return nil, errors.New("it does not hold a URL")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || (u.Path != "/" && u.Path != "") {
		return nil, errors.New("its URL is not one of STS")
	}
	if err := checkTokenQuery(u); err != nil {
		return nil, err
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	r.Header.Set(clusterHeader, cluster)
	return r, nil
}

func checkTokenQuery(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its query is malformed")
	}
	allowed := []string{
		"action", "version", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token",
		"x-amz-signature", "x-amz-signedheaders", "x-amz-user-agent", "x-id",
	}
	for name, values := range query {
		if !slices.Contains(allowed, strings.ToLower(name)) {
			return fmt.Errorf("its query has the parameter %q, which does not belong there", name)
		}
		if len(values) != 1 {
			return fmt.Errorf("its query has the parameter %q more than once", name)
		}
	}
	if query.Get("Action") != "GetCallerIdentity" {
		return errors.New("its action is not GetCallerIdentity")
	}
	if text := query.Get("X-Amz-Expires"); text != "" {
		if n, err := strconv.Atoi(text); err != nil || n < 0 || n > int(tokenLifetime.Seconds()) {
			return fmt.Errorf("its X-Amz-Expires %q is not between 0 and 900", text)
		}
	}
	return nil
}

// identify maps a caller through access entries.
func (s *Service) identify(cluster string, caller wire.Caller) (Identity, error) {
	c, err := s.cluster(cluster)
	if err != nil {
		return Identity{}, err
	}
	principal, session := s.principalOf(caller.ARN)
	id, _, _ := strings.Cut(caller.UserID, ":")
	out := Identity{
		Principal: principal, UID: "aws-iam-authenticator:" + caller.Account + ":" + id,
		Extra: map[string][]string{
			"accessKeyId": {caller.AccessKey}, "arn": {caller.ARN}, "canonicalArn": {principal}, "principalId": {id},
			"sessionName": {session}, "sigs.k8s.io/aws-iam-authenticator/principalId": {id},
		},
	}
	mode := c.Cluster.AccessConfig.AuthenticationMode
	if mode == "CONFIG_MAP" {
		if creator, _ := s.principalOf(c.Creator); c.BootstrapAdmin && creator == principal {
			out.Mapped, out.Username, out.Groups = true, "kubernetes-admin", []string{"system:masters"}
		}
		return out, nil
	}
	e, ok := c.Entries[principal]
	if ok && s.samePrincipal(e, principal) {
		s.admitIdentity(&out, e, caller, session)
		return out, nil
	}
	if mode == "API" {
		return out, fmt.Errorf("%s in cluster %s: %w", principal, cluster, ErrNoAccess)
	}
	return out, nil
}

// samePrincipal says that an entry's principal is still the one it was made for.
func (s *Service) samePrincipal(e *entryRecord, principal string) bool {
	p, ok := s.neighbours.Principals.Principal(principal)
	return e.PrincipalID == "" || !ok || p.UniqueID == e.PrincipalID
}

func (s *Service) admitIdentity(out *Identity, e *entryRecord, caller wire.Caller, session string) {
	// What a session is called may hold @, which Kubernetes does not take in a name; the raw form keeps it.
	out.Mapped = true
	out.Username = strings.NewReplacer(
		"{{SessionName}}", strings.ReplaceAll(session, "@", "-"), "{{SessionNameRaw}}", session, "{{AccountID}}", caller.Account,
		"{{AccessKeyID}}", caller.AccessKey, "{{EC2PrivateDNSName}}", session, "{{EC2InstanceID}}", session,
	).Replace(e.Entry.Username)
	out.Groups = slices.Clone(e.Entry.KubernetesGroups)
	for _, p := range sortedPolicies(e) {
		if known, ok := catalog.FindAccessPolicy(s.world.Partition, p.PolicyARN); ok {
			out.Grants = append(out.Grants, Grant{Policy: known.Name, Role: known.Role, Namespaces: slices.Clone(p.AccessScope.Namespaces)})
		}
	}
}
