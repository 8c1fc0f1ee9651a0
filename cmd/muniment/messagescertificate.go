package main

// What is said of certificates.
var (
	sayCertificateShort = phrase{"Fetch certificates: PDFs for people, with the receipt in them", "取得存证证书：供人阅读、内嵌回执的 PDF"}
	sayCertificateLong  = phrase{
		`Fetch a certificate of each deposit, and keep it only if it holds: its receipt satisfies
the policy, it is of that deposit, and every byte of it is what the receipt gives. It is
written to ID.certificate.pdf, in the folder of --out, or to the file of --output.

--in is the language of the certificate: zh, en, or both side by side. --profile is plain;
prc, in the order of arts 16 to 19 of the Online Litigation Rules; or fre, with a draft
certification under the Federal Rules of Evidence 902(13) and (14). --document embeds the
document, if the depository has it and it is 16 MiB or less.

Of a deposit that was erased it is the certificate of its erasure.

JSON: certificate (path), status (fetched, refused or failed), id, number, signed_by, error. A court or auditor names
the depositor by --tenant, or comes by --link.

Exit code 0: all were kept. 1: one must not be relied on. 2: anything else.`,
		`取得各项存证的证书，仅在其成立时保存：内嵌回执符合信任策略，证书确属该存证，且每一字节均可由回执
得出。证书写入 ID.certificate.pdf，位于 --out 指定的文件夹，或写入 --output 指定的文件。

--in 为证书语言：zh、en，或 both（两种语言并列）。--profile 为 plain（通用）；prc（依《人民法院
在线诉讼规则》第十六条至第十九条之次序）；或 fre（附美国《联邦证据规则》第 902(13)、(14) 条证明书
草稿）。--document 将文件内嵌于证书，须存证机构持有该文件且不超过 16 MiB。

已删除的存证，所得为其删除证明。

JSON 字段：certificate（路径）、status（fetched、refused 或 failed）、id、number、signed_by、error。法院或审计方以 --tenant
指明存证主体，或持 --link 取得。

退出码 0：全部保存。1：有证书不可采信。2：其他情况。`,
	}
	sayCertificateExample = phrase{
		"  muniment certificate 01a207e1-1ad7-7c9c-9a9e-b149fa06f920 --in both --policy depository.policy",
		"  muniment certificate 01a207e1-1ad7-7c9c-9a9e-b149fa06f920 --in both --policy 存证机构.policy",
	}
	sayFlagIn               = phrase{"`language` of the certificate: zh, en or both (default: the depository's)", "证书的语言 `language`：zh、en 或 both（默认由存证机构决定）"}
	sayFlagProfile          = phrase{"`profile`: plain, prc or fre", "版式 `profile`：plain、prc 或 fre"}
	sayFlagEmbed            = phrase{"embed the document", "将文件内嵌于证书"}
	sayFlagCertificateFile  = phrase{"`file` for the certificate of one deposit", "保存单项存证之证书的文件 `file`"}
	sayFlagCertificateOut   = phrase{"`folder` for the certificates", "保存证书的文件夹 `folder`"}
	sayCertificateFetched   = phrase{"%s  certificate no. %s  %s", "%s  证书编号 %s  %s"}
	sayCertificateOfAnother = phrase{"the certificate is of another deposit than was asked for", "证书并非所求存证的证书"}
	sayPaper                = phrase{"%s", "%s"} // in the words of package certificate
	headCertificate         = phrase{"Certificate no.", "证书编号"}
	headIssued              = phrase{"Issued", "出具时间"}
	headSignedBy            = phrase{"Signed by", "签名者"}
	sayWhichProfile         = phrase{"--profile is plain, prc or fre", "--profile 只能是 plain、prc 或 fre"}
	sayWhichIn              = phrase{"--in is zh, en or both", "--in 只能是 zh、en 或 both"}
)
