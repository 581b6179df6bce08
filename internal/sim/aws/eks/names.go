package eks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The shapes of names that the API accepts.
var (
	clusterName   = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]{0,99}$`)
	resourceName  = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]{0,62}$`)
	labelName     = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	labelValue    = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// checkTags holds user tags to the rules of
// https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html#tag-restrictions.
func checkTags(on subject, tags map[string]string) error {
	if problem := tagProblem(tags); problem != "" {
		return on.badParameter("%s", problem)
	}
	return nil
}

func tagProblem(tags map[string]string) string {
	if len(tags) > maxTags {
		return "Too many tags: a resource can have at most 50 tags"
	}
	for _, k := range names(tags) {
		switch {
		case k == "" || len(k) > 128:
			return fmt.Sprintf("Invalid tag key %q: must be between 1 and 128 characters long", k)
		case len(tags[k]) > 256:
			return fmt.Sprintf("Invalid value of tag %q: must be at most 256 characters long", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return fmt.Sprintf("Invalid tag key %q: aws: prefixed tag key names are not allowed for external use", k)
		}
	}
	return ""
}

const maxTags = 50

// checkEnum says whether a value is one of the allowed ones; empty passes.
func checkEnum(on subject, field, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return on.badParameter("Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", value, field, strings.Join(allowed, ", "))
}

// roleName is the last path element of a role's ARN.
func roleName(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

func isRoleARN(arn string) bool {
	return strings.Contains(arn, ":iam::") && strings.Contains(arn, ":role/")
}

func isTrue(b *bool) bool { return b != nil && *b }

func boolOr(b *bool, def bool) bool {
	if b == nil {
		return def
	}
	return *b
}

func intOr(i *int, def int) int {
	if i == nil {
		return def
	}
	return *i
}
