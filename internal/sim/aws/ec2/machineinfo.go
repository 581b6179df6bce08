package ec2

import (
	"strconv"
	"strings"
)

// InstanceTypeInfo is an instance type as the API shows it.
type InstanceTypeInfo struct {
	InstanceType                  string             `xml:"instanceType"`
	CurrentGeneration             bool               `xml:"currentGeneration"`
	FreeTierEligible              bool               `xml:"freeTierEligible"`
	SupportedUsageClasses         []string           `xml:"supportedUsageClasses>item"`
	SupportedRootDeviceTypes      []string           `xml:"supportedRootDeviceTypes>item"`
	SupportedVirtualizationTypes  []string           `xml:"supportedVirtualizationTypes>item"`
	BareMetal                     bool               `xml:"bareMetal"`
	Hypervisor                    string             `xml:"hypervisor"`
	ProcessorInfo                 ProcessorInfo      `xml:"processorInfo"`
	VCPUInfo                      VCPUInfo           `xml:"vCpuInfo"`
	MemoryInfo                    MemoryInfo         `xml:"memoryInfo"`
	InstanceStorageSupported      bool               `xml:"instanceStorageSupported"`
	EBSInfo                       EBSInfo            `xml:"ebsInfo"`
	NetworkInfo                   NetworkInfo        `xml:"networkInfo"`
	GPUInfo                       *GPUInfo           `xml:"gpuInfo"`
	PlacementGroupInfo            PlacementGroupInfo `xml:"placementGroupInfo"`
	BurstablePerformanceSupported bool               `xml:"burstablePerformanceSupported"`
	HibernationSupported          bool               `xml:"hibernationSupported"`
}

// ProcessorInfo is part of InstanceTypeInfo.
type ProcessorInfo struct {
	SupportedArchitectures []string `xml:"supportedArchitectures>item"`
}

// VCPUInfo is part of InstanceTypeInfo.
type VCPUInfo struct {
	DefaultVCPUs int `xml:"defaultVCpus"`
}

// MemoryInfo is part of InstanceTypeInfo.
type MemoryInfo struct {
	SizeInMiB int `xml:"sizeInMiB"`
}

// NetworkInfo is part of InstanceTypeInfo.
type NetworkInfo struct {
	MaximumNetworkInterfaces  int    `xml:"maximumNetworkInterfaces"`
	MaximumNetworkCards       int    `xml:"maximumNetworkCards"`
	IPv4AddressesPerInterface int    `xml:"ipv4AddressesPerInterface"`
	IPv6AddressesPerInterface int    `xml:"ipv6AddressesPerInterface"`
	IPv6Supported             bool   `xml:"ipv6Supported"`
	EnaSupport                string `xml:"enaSupport"`
	EfaSupported              bool   `xml:"efaSupported"`
}

// EBSInfo is part of InstanceTypeInfo. How fast a type reaches its volumes is left out.
type EBSInfo struct {
	Optimized  string `xml:"ebsOptimizedSupport"`
	Encryption string `xml:"encryptionSupport"`
	NVMe       string `xml:"nvmeSupport"`
}

// PlacementGroupInfo is part of InstanceTypeInfo.
type PlacementGroupInfo struct {
	Strategies []string `xml:"supportedStrategies>item"`
}

// GPUInfo is part of InstanceTypeInfo.
type GPUInfo struct {
	GPUs      []GPU `xml:"gpus>item"`
	MemoryMiB int   `xml:"totalGpuMemoryInMiB"`
}

// GPU is part of InstanceTypeInfo.
type GPU struct {
	Name         string     `xml:"name"`
	Manufacturer string     `xml:"manufacturer"`
	Count        int        `xml:"count"`
	MemoryInfo   MemoryInfo `xml:"memoryInfo"`
}

func (m MachineType) info() InstanceTypeInfo {
	info := InstanceTypeInfo{
		InstanceType: m.Name, CurrentGeneration: true, FreeTierEligible: m.Name == "t3.micro",
		SupportedUsageClasses: []string{"on-demand", "spot"}, SupportedRootDeviceTypes: []string{"ebs"}, SupportedVirtualizationTypes: []string{"hvm"},
		Hypervisor: "nitro", ProcessorInfo: ProcessorInfo{SupportedArchitectures: []string{m.Architecture}},
		VCPUInfo: VCPUInfo{DefaultVCPUs: m.VCPU}, MemoryInfo: MemoryInfo{SizeInMiB: m.MemoryMiB},
		NetworkInfo: NetworkInfo{
			MaximumNetworkInterfaces: m.Interfaces, MaximumNetworkCards: 1, IPv4AddressesPerInterface: m.AddressesPer,
			IPv6AddressesPerInterface: m.AddressesPer, IPv6Supported: true, EnaSupport: "required",
		},
		BurstablePerformanceSupported: strings.HasPrefix(m.Name, "t"),
		EBSInfo:                       EBSInfo{Optimized: "default", Encryption: "supported", NVMe: "required"},
		PlacementGroupInfo:            PlacementGroupInfo{Strategies: []string{"partition", "spread"}},
	}
	if !info.BurstablePerformanceSupported {
		// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-strategies.html: burstable types are not for cluster placement groups.
		info.PlacementGroupInfo.Strategies = []string{"cluster", "partition", "spread"}
	}
	if m.GPUs > 0 {
		device := GPU{Name: m.GPUName, Manufacturer: "NVIDIA", Count: m.GPUs, MemoryInfo: MemoryInfo{SizeInMiB: m.GPUMiB}}
		info.GPUInfo = &GPUInfo{GPUs: []GPU{device}, MemoryMiB: m.GPUs * m.GPUMiB}
	}
	return info
}

// instanceTypeValues knows the filters of DescribeInstanceTypes that are about what is modelled here. EC2 has none for GPUs.
func instanceTypeValues(i InstanceTypeInfo, name string) ([]string, bool) {
	switch name {
	case "instance-type":
		return one(i.InstanceType), true
	case "processor-info.supported-architecture":
		return i.ProcessorInfo.SupportedArchitectures, true
	case "current-generation":
		return yesNo(i.CurrentGeneration), true
	case "bare-metal":
		return yesNo(i.BareMetal), true
	case "vcpu-info.default-vcpus":
		return one(strconv.Itoa(i.VCPUInfo.DefaultVCPUs)), true
	case "memory-info.size-in-mib":
		return one(strconv.Itoa(i.MemoryInfo.SizeInMiB)), true
	case "supported-usage-class":
		return i.SupportedUsageClasses, true
	case "network-info.efa-supported":
		return yesNo(i.NetworkInfo.EfaSupported), true
	case "hypervisor":
		return one(i.Hypervisor), true
	case "burstable-performance-supported":
		return yesNo(i.BurstablePerformanceSupported), true
	}
	return nil, false
}
