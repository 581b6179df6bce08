package eks

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/awsapi"
)

// clients are the AWS services of one region under one identity.
type clients struct {
	config     aws.Config
	eks        eksService
	cfn        cfnService
	ec2        ec2Service
	iam        iamService
	asg        asgService
	logs       logsService
	ssm        ssmService
	elb        elbService
	elbv2      elbv2Service
	cloudtrail cloudtrailService
	sts        *sts.Client
}

func newClients(cfg aws.Config) *clients {
	cfg = named(cfg)
	return &clients{
		config: cfg,
		eks:    eksService{client: hide(eks.NewFromConfig(cfg))},
		cfn:    cfnService{client: hide(cloudformation.NewFromConfig(cfg))},
		ec2:    ec2Service{client: hide(ec2.NewFromConfig(cfg))},
		iam:    iamService{client: hide(iam.NewFromConfig(cfg))},
		asg:    asgService{client: hide(autoscaling.NewFromConfig(cfg))},
		logs:   logsService{client: hide(cloudwatchlogs.NewFromConfig(cfg))},
		ssm:    ssmService{client: hide(ssm.NewFromConfig(cfg))},
		elb:    elbService{client: hide(elb.NewFromConfig(cfg))},
		elbv2:  elbv2Service{client: hide(elbv2.NewFromConfig(cfg))},
		sts:    sts.NewFromConfig(cfg),

		cloudtrail: cloudtrailService{client: hide(cloudtrail.NewFromConfig(cfg))},
	}
}

// named puts this program's name into the user agent, by which it knows its own calls in CloudTrail.
func named(cfg aws.Config) aws.Config {
	cfg.AppID = appID
	return cfg
}

// provider is the clients as eksctl wants them. The services that eksctl asks for only while it deletes or troubleshoots
// are nil: nothing here calls those parts of eksctl.
type provider struct{ *clients }

var _ api.ClusterProvider = provider{}

func (p provider) CloudFormation() awsapi.CloudFormation        { return p.cfn }
func (p provider) CloudFormationRoleARN() string                { return "" }
func (p provider) CloudFormationDisableRollback() bool          { return false }
func (p provider) ASG() awsapi.ASG                              { return p.asg }
func (p provider) EKS() awsapi.EKS                              { return p.eks }
func (p provider) SSM() awsapi.SSM                              { return p.ssm }
func (p provider) CloudTrail() awsapi.CloudTrail                { return nil }
func (p provider) CloudWatchLogs() awsapi.CloudWatchLogs        { return p.logs }
func (p provider) IAM() awsapi.IAM                              { return p.iam }
func (p provider) Region() string                               { return p.config.Region }
func (p provider) Profile() api.Profile                         { return api.Profile{} }
func (p provider) WaitTimeout() time.Duration                   { return time.Minute }
func (p provider) CredentialsProvider() aws.CredentialsProvider { return p.config.Credentials }
func (p provider) AWSConfig() aws.Config                        { return p.config }
func (p provider) ELB() awsapi.ELB                              { return nil }
func (p provider) ELBV2() awsapi.ELBV2                          { return nil }
func (p provider) STS() awsapi.STS                              { return p.sts }
func (p provider) STSPresigner() api.STSPresigner               { return sts.NewPresignClient(p.sts) }
func (p provider) EC2() awsapi.EC2                              { return p.ec2 }
func (p provider) Outposts() awsapi.Outposts                    { return nil }

// page collects every page of a paginated call.
func page[P, I any](ctx context.Context, more func() bool, next func(context.Context) (P, error), items func(P) []I) ([]I, error) {
	var out []I
	for more() {
		p, err := next(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, items(p)...)
	}
	return out, nil
}
