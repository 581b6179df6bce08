package eks

import (
	"fmt"
	"net/http"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// subject names what an error is about; its fields become members of the error as the API's exceptions have them.
type subject struct{ cluster, nodegroup, addon, profile string }

func (s subject) members() map[string]any {
	out := map[string]any{}
	for name, value := range map[string]string{
		"clusterName": s.cluster, "nodegroupName": s.nodegroup, "addonName": s.addon, "fargateProfileName": s.profile,
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

func (s subject) fail(status int, code, format string, args ...any) *wire.Error {
	return &wire.Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...), Members: s.members()}
}

func (s subject) notFound(format string, args ...any) *wire.Error {
	return s.fail(http.StatusNotFound, "ResourceNotFoundException", format, args...)
}

func (s subject) inUse(format string, args ...any) *wire.Error {
	return s.fail(http.StatusConflict, "ResourceInUseException", format, args...)
}

func (s subject) badParameter(format string, args ...any) *wire.Error {
	return s.fail(http.StatusBadRequest, "InvalidParameterException", format, args...)
}

func (s subject) badRequest(format string, args ...any) *wire.Error {
	return s.fail(http.StatusBadRequest, "InvalidRequestException", format, args...)
}

func (s subject) badState(format string, args ...any) *wire.Error {
	return s.fail(http.StatusBadRequest, "InvalidStateException", format, args...)
}

func (s subject) limit(text string) *wire.Error {
	return s.fail(http.StatusBadRequest, "ResourceLimitExceededException", "%s", text)
}
