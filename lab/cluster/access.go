package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

// mapping is an entry of the aws-auth ConfigMap
// (https://docs.aws.amazon.com/eks/latest/userguide/auth-configmap.html).
type mapping struct {
	RoleARN  string   `json:"rolearn"`
	UserARN  string   `json:"userarn"`
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

// Mapped finds a principal in the aws-auth ConfigMap.
func (c *Cluster) Mapped(ctx context.Context, principal, session string) (username string, groups []string, ok bool, err error) {
	config, err := c.client.CoreV1().ConfigMaps("kube-system").Get(ctx, "aws-auth", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil, false, nil
	}
	if err != nil {
		return "", nil, false, err
	}
	for _, key := range []string{"mapRoles", "mapUsers"} {
		var entries []mapping
		if err := yaml.Unmarshal([]byte(config.Data[key]), &entries); err != nil {
			return "", nil, false, fmt.Errorf("reading %s: %w", key, err)
		}
		for _, e := range entries {
			if strings.EqualFold(e.RoleARN+e.UserARN, principal) {
				return strings.NewReplacer(
					"{{SessionName}}", strings.ReplaceAll(session, "@", "-"), "{{SessionNameRaw}}", session, "{{EC2PrivateDNSName}}", session,
				).Replace(e.Username), e.Groups, true, nil
			}
		}
	}
	return "", nil, false, nil
}

// Grant makes sure that there are bindings for access policies and gives the groups that they are for. EKS has an authorizer
// of its own for them; here they are RBAC's, made when a principal with such a policy first comes.
func (c *Cluster) Grant(ctx context.Context, grants []eks.Grant) ([]string, error) {
	var groups []string
	for _, grant := range grants {
		if grant.Policy == "AmazonEKSAdminViewPolicy" {
			grant.Role = "eks:admin-view" // no role of Kubernetes' own reads everything
		}
		if grant.Role == "" {
			continue
		}
		if len(grant.Namespaces) == 0 {
			group := "eks:access-policy:" + grant.Policy
			groups = append(groups, group)
			if err := c.bindEverywhere(ctx, group, grant.Role); err != nil {
				return nil, err
			}
			continue
		}
		sum := sha256.Sum256([]byte(strings.Join(grant.Namespaces, ",")))
		group := "eks:access-policy:" + grant.Policy + ":" + hex.EncodeToString(sum[:4])
		groups = append(groups, group)
		if err := c.bindInside(ctx, group, grant); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

func roleRef(role string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
}

func subject(group string) []rbacv1.Subject {
	return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}}
}

func (c *Cluster) bindEverywhere(ctx context.Context, group, role string) error {
	_, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: group, Labels: map[string]string{managedBy: "EKS"}}, RoleRef: roleRef(role), Subjects: subject(group),
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("binding %s: %w", group, err)
	}
	return nil
}

// bindInside binds in the namespaces there are now; those that come later are bound when the token is next reviewed.
func (c *Cluster) bindInside(ctx context.Context, group string, grant eks.Grant) error {
	namespaces, err := c.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("binding %s: %w", group, err)
	}
	for _, ns := range namespaces.Items {
		if !matchesAny(grant.Namespaces, ns.Name) || ns.DeletionTimestamp != nil {
			continue
		}
		_, err := c.client.RbacV1().RoleBindings(ns.Name).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: group, Labels: map[string]string{managedBy: "EKS"}}, RoleRef: roleRef(grant.Role), Subjects: subject(group),
		}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("binding %s in %s: %w", group, ns.Name, err)
		}
	}
	return nil
}

func matchesAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}
