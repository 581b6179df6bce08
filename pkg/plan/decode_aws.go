package plan

import (
	"regexp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// aws reads as whom AWS is reached. What a role's ARN looks like is IAM's business (IAM User Guide, "IAM identifiers" and "IAM
// and STS quotas"), in every partition; what an external id and a session's name may be is that of STS (API reference, AssumeRole).
func (d *decoder) aws(into *AWS) func(string, any) {
	return func(path string, v any) {
		before := len(d.problems)
		d.object(path, v, map[string]func(string, any){
			"role": d.match(&into.Role, 2048, `arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}`,
				"the ARN of an IAM role such as arn:aws:iam::111122223333:role/reconciler"),
			"externalID":  d.match(&into.ExternalID, 1224, `[A-Za-z0-9_+=,.@:/-]{2,}`, "text of 2 to 1224 letters, digits and _+=,.@:/-"),
			"sessionName": d.match(&into.SessionName, 64, `[A-Za-z0-9_+=,.@-]{2,}`, "text of 2 to 64 letters, digits and _+=,.@-"),
		})
		into.From = d.at(Field(path, "role"))
		if m, ok := v.(gitops.Tree); ok && m["role"] == nil && len(d.problems) == before {
			d.problem(path, "role is missing: without one, AWS is reached as the process itself")
		}
	}
}

// match reads text of at most a length that is all of a pattern.
func (d *decoder) match(into *string, most int, pattern, want string) func(string, any) {
	whole := regexp.MustCompile(`^(` + pattern + `)$`)
	return func(path string, v any) {
		s, ok := v.(string)
		if !ok || len(s) > most || !whole.MatchString(s) {
			d.problem(path, "want %s, not %s", want, kindOf(v))
			return
		}
		*into = s
	}
}
