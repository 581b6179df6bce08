package eks

import (
	"encoding/json"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// watchStacks remembers who started a stack: CloudFormation acts in their name, so they are the creator of a cluster that
// the stack makes (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html).
func (s *Service) watchStacks(e world.TrailEvent) {
	if e.Source != "cloudformation.amazonaws.com" || e.ErrorCode != "" {
		return
	}
	switch e.Name {
	case "CreateStack", "UpdateStack", "ExecuteChangeSet", "CreateChangeSet":
	default:
		return
	}
	var request struct{ StackName string }
	if err := json.Unmarshal(e.Request, &request); err != nil || request.StackName == "" {
		return
	}
	// A stack may be named by its ARN: ...:stack/NAME/ID.
	name := request.StackName
	if parts := strings.Split(name, "/"); len(parts) == 3 {
		name = parts[1]
	}
	s.state.StackCreators[name] = e.Principal
}
