package ec2

import (
	"slices"
	"strings"
)

// MachineType is an instance type.
type MachineType struct {
	Name         string
	VCPU         int
	MemoryMiB    int
	Interfaces   int // most network interfaces
	AddressesPer int // IPv4 addresses of each
	Architecture string
	GPUs         int
	GPUName      string
	GPUMiB       int // memory of each GPU
}

// MaxPods is how many Pods the VPC CNI has addresses for: every interface keeps one address to itself, and two Pods (kube-proxy
// and the CNI) use the host's. It is the number in the CNI's own table (misc/eni-max-pods.txt of amazon-vpc-cni-k8s).
func (m MachineType) MaxPods() int { return m.Interfaces*(m.AddressesPer-1) + 2 }

// size is a row of a family's table: vCPUs, memory per vCPU comes from the family.
type size struct {
	name                     string
	vcpu, interfaces, perENI int
}

func generalSizes() []size {
	return []size{
		{"large", 2, 3, 10}, {"xlarge", 4, 4, 15}, {"2xlarge", 8, 4, 15}, {"4xlarge", 16, 8, 30}, {"8xlarge", 32, 8, 30},
		{"12xlarge", 48, 8, 30}, {"16xlarge", 64, 15, 50}, {"24xlarge", 96, 15, 50},
	}
}

func gravitonSizes() []size {
	sizes := append([]size{{"medium", 1, 2, 4}}, generalSizes()...)
	return slices.DeleteFunc(sizes, func(s size) bool { return s.name == "24xlarge" })
}

func c5Sizes() []size {
	return []size{
		{"large", 2, 3, 10}, {"xlarge", 4, 4, 15}, {"2xlarge", 8, 4, 15}, {"4xlarge", 16, 8, 30}, {"9xlarge", 36, 8, 30},
		{"12xlarge", 48, 8, 30}, {"18xlarge", 72, 15, 50}, {"24xlarge", 96, 15, 50},
	}
}

// families lists the families whose memory is a fixed multiple of their vCPUs (GiB per vCPU), from the tables of
// https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html.
func families() []MachineType {
	var out []MachineType
	add := func(family, arch string, gibPerVCPU int, sizes []size) {
		for _, s := range sizes {
			out = append(out, MachineType{
				Name: family + "." + s.name, VCPU: s.vcpu, MemoryMiB: s.vcpu * gibPerVCPU * 1024,
				Interfaces: s.interfaces, AddressesPer: s.perENI, Architecture: arch,
			})
		}
	}
	for _, family := range []string{"m5", "m5a", "m6i", "m6a", "m7i", "m7a"} {
		add(family, "x86_64", 4, generalSizes())
	}
	for _, family := range []string{"r5", "r5a", "r6i", "r6a", "r7i"} {
		add(family, "x86_64", 8, generalSizes())
	}
	for _, family := range []string{"c6i", "c6a", "c7i"} {
		add(family, "x86_64", 2, generalSizes())
	}
	add("c5", "x86_64", 2, c5Sizes())
	add("m6g", "arm64", 4, gravitonSizes())
	add("m7g", "arm64", 4, gravitonSizes())
	add("c6g", "arm64", 2, gravitonSizes())
	add("c7g", "arm64", 2, gravitonSizes())
	add("r6g", "arm64", 8, gravitonSizes())
	add("r7g", "arm64", 8, gravitonSizes())
	return out
}

// single lists types that follow no pattern.
func single() []MachineType {
	var out []MachineType
	for _, t := range []struct {
		size               string
		vcpu, mib, eni, ip int
	}{
		{"nano", 2, 512, 2, 2}, {"micro", 2, 1024, 2, 2}, {"small", 2, 2048, 3, 4}, {"medium", 2, 4096, 3, 6},
		{"large", 2, 8192, 3, 12}, {"xlarge", 4, 16384, 4, 15}, {"2xlarge", 8, 32768, 4, 15},
	} {
		for family, arch := range map[string]string{"t3": "x86_64", "t3a": "x86_64", "t4g": "arm64"} {
			eni := t.eni
			if family == "t3a" && t.size == "small" {
				eni = 2
			}
			out = append(out, MachineType{Name: family + "." + t.size, VCPU: t.vcpu, MemoryMiB: t.mib, Interfaces: eni, AddressesPer: t.ip, Architecture: arch})
		}
	}
	gpu := func(name string, vcpu, gib, eni, ip, gpus int, model string) {
		memory := map[string]int{"T4": 16384, "A10G": 24576, "V100": 16384}[model]
		out = append(out, MachineType{Name: name, VCPU: vcpu, MemoryMiB: gib * 1024, Interfaces: eni, AddressesPer: ip, Architecture: "x86_64", GPUs: gpus, GPUName: model, GPUMiB: memory})
	}
	gpu("g4dn.xlarge", 4, 16, 3, 10, 1, "T4")
	gpu("g4dn.2xlarge", 8, 32, 3, 10, 1, "T4")
	gpu("g4dn.4xlarge", 16, 64, 3, 10, 1, "T4")
	gpu("g4dn.8xlarge", 32, 128, 4, 15, 1, "T4")
	gpu("g4dn.12xlarge", 48, 192, 8, 30, 4, "T4")
	gpu("g5.xlarge", 4, 16, 4, 15, 1, "A10G")
	gpu("g5.2xlarge", 8, 32, 4, 15, 1, "A10G")
	gpu("g5.12xlarge", 48, 192, 15, 50, 4, "A10G")
	gpu("p3.2xlarge", 8, 61, 4, 15, 1, "V100")
	return out
}

// MachineTypes lists the known instance types by name.
func MachineTypes() []MachineType {
	out := append(families(), single()...)
	slices.SortFunc(out, func(a, b MachineType) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// FindMachineType finds an instance type.
func FindMachineType(name string) (MachineType, bool) {
	for _, m := range append(families(), single()...) {
		if m.Name == name {
			return m, true
		}
	}
	return MachineType{}, false
}

// Offered tells whether a type can be had in a zone. use1-az3 is the zone that AWS stopped extending: it has none of the
// generations listed here (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html leaves it out as well). Local zones have few:
// in Los Angeles of those here T3, C5, M5, R5 and G4dn (https://aws.amazon.com/about-aws/global-infrastructure/localzones/features/).
func Offered(name, zoneID string) bool {
	if strings.Contains(zoneID, "-lax1-") {
		family, _, _ := strings.Cut(name, ".")
		return slices.Contains([]string{"t3", "c5", "m5", "r5", "g4dn"}, family)
	}
	return zoneID != "use1-az3"
}
