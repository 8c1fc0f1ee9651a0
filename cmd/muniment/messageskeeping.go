package main

// What the commands that hold, release and erase say.
var (
	sayHoldShort = phrase{"Hold a deposit, so that nobody erases it", "保全一项存证，使其不得被删除"}
	sayHoldLong  = phrase{
		`Note in the log that a deposit is held for a matter: proceedings, an inquiry, an audit.
While any matter is open nobody can erase it; where the object store knows legal holds,
its document is held there too. The note is an entry of the log with a receipt of its
own. For API keys of the role compliance.

Exit code 0: it is held. 1: the receipt must not be believed. 2: anything else.`,
		`在日志中记载：该存证因某一事由（诉讼、调查、审计）而保全。只要仍有事由未了结，任何人都
不得删除它；对象存储支持法定保全的，文件也在该处保全。该记载是日志中的一个条目，有自己的
回执。须使用 compliance 角色的 API 密钥。

退出码 0：已保全。1：回执不可采信。2：其他情况。`,
	}
	sayReleaseShort = phrase{"Close a matter under which a deposit is held", "了结保全事由"}
	sayReleaseLong  = phrase{
		`End the hold of a deposit under one matter; holds under others go on. For API keys of the
role compliance.

Exit code 0: the matter is closed. 1: the receipt must not be believed. 2: anything else.`,
		`解除该存证因某一事由的保全；因其他事由的保全继续有效。须使用 compliance 角色的 API 密钥。

退出码 0：该事由已了结。1：回执不可采信。2：其他情况。`,
	}
	sayEraseShort = phrase{"Erase a deposit; two must ask for it", "删除一项存证；须由两人提出"}
	sayEraseLong  = phrase{
		`Destroy the private part of a deposit: its key, its record, its document, and all by which
it can be found. Its entry stays in the log, so that receipts that others hold stay good
and show that it was there.

Two callers of the role compliance, each with an API key of their own, run this command
within 30 days, with the same --matter if there is one: the first asks, the second
confirms. It is refused while the deposit is held, and before its term of retention ends
unless --matter names the lawful order.

Exit code 0: it was asked for, or done, as is said. 1: the receipt must not be believed.
2: anything else.`,
		`销毁一项存证的非公开部分：密钥、描述、文件，以及一切检索途径。其条目仍留在日志中，因此他人
持有的回执依然有效，并证明该存证曾经存在。

须由两名 compliance 角色的人员，各用自己的 API 密钥，在 30 天内运行本命令（如有 --matter 则须
相同）：先者提出，后者确认。存证处于保全中的，或保存期限未满且 --matter 未载明合法命令的，
不予删除。

退出码 0：已提出或已删除，以显示为准。1：回执不可采信。2：其他情况。`,
	}
	sayNoticesShort = phrase{"Show how a deposit stands, or what is held and waits to be erased", "显示存证的状态，或列出保全与待删除的存证"}
	sayNoticesLong  = phrase{
		`Show every hold, release and erasure of a deposit, and what they come to. It answers for an
erased deposit too. Without an id, list those of all your tenant's deposits; with --open what
is held now, and the erasures that wait for another to confirm them. Each is an entry of the log; muniment receipt fetches its receipt by its
id, which --json shows.`,
		`显示一项存证的所有保全、解除与删除记载及其结果；对已删除的存证同样适用。
不给编号则列出本租户全部存证的此类记载；加 --open 则仅列目前的保全，以及等待他人确认的删除。每项记载都是日志中的
一个条目；用 --json 显示其编号，再用 muniment receipt 取得其回执。`,
	}
	sayFlagMatter       = phrase{"`matter`: the proceedings, by name or number", "事由 `matter`：程序的名称或案号"}
	sayFlagOrder        = phrase{"`order`: the lawful order, without which retention must have ended", "合法命令 `order`；未载明的，须保存期限已满"}
	sayFlagReason       = phrase{"`reason`: why; it stands in the private record of the entry", "理由 `reason`；写入条目的非公开描述"}
	sayFlagNoticeOutput = phrase{"`file` for the receipt of the note", "保存该记载回执的文件 `file`"}
	sayFlagDue          = phrase{"`time` before which their terms of retention end", "保存期限在此 `time` 之前届满"}
	sayFlagDisclose     = phrase{"show these `members` alone: names with commas between them; party.* is all of a family", "仅披露这些字段 `members`：以逗号分隔的字段名；party.* 表示整组字段"}
	sayFlagHide         = phrase{"hide these `members`, in the same form", "隐去这些字段 `members`，格式同上"}
	sayWhereDisclosed   = phrase{"a receipt that hides something goes into a file of its own: say where with -o, of one deposit or one receipt's file", "隐去部分内容的回执须另存为文件：请用 -o 指明位置，并只指明一项存证或一个回执文件"}
	sayOneID            = phrase{"name one deposit by its id", "请以编号指明一项存证"}
	sayListFlags        = phrase{"--act, --open and --newest-first list the notices of all deposits: leave the id out", "--act、--open 与 --newest-first 用于列出全部存证的通知：请勿同时指明编号"}
	sayNoReason         = phrase{"say why, with --reason", "请用 --reason 说明理由"}
	sayNoMatter         = phrase{"name the matter, with --matter", "请用 --matter 指明事由"}
	sayNoted            = phrase{"Noted as entry %d (%s) at %s.", "已记载为条目 %d（%s），时间 %s。"}
	sayConfirm          = phrase{
		"Nothing is erased yet. Another caller of the role compliance confirms it within 30 days by the same command.",
		"尚未删除。须由另一名 compliance 角色的人员在 30 天内运行同一命令予以确认。",
	}
	sayRemains = phrase{
		"The deposit is erased. Backups that were made before hold it, sealed, until the last of them expires; receipts that were issued, and copies of the document that others have, cannot be recalled.",
		"该存证已删除。此前所作的备份仍含有其密文，直至最后一份备份到期；已签发的回执以及他人持有的文件副本无法收回。",
	}
	sayFactDeposit = phrase{"Deposit", "存证编号"}
	sayFactEntry   = phrase{"Deposited", "存证时间"}
	sayFactState   = phrase{"State", "状态"}
	sayFactMatters = phrase{"Held under", "保全事由"}
	sayFactUntil   = phrase{"Kept until", "保存至"}
	sayFlagAct     = phrase{"only notices of this `act`: hold, release, erasure-asked or erasure", "仅列此类记载 `act`：hold、release、erasure-asked 或 erasure"}
	sayFlagOpen    = phrase{"only holds in force, and erasures that wait to be confirmed", "仅列有效的保全与等待确认的删除"}
	sayNoNotices   = phrase{"No notices match.", "没有符合条件的记载。"}
	sayHeadState   = phrase{"State", "状态"}
	sayHeadTime    = phrase{"Time", "时间"}
	sayHeadAct     = phrase{"Act", "记载"}
	sayHeadMatter  = phrase{"Matter", "事由"}
	sayHeadReason  = phrase{"Reason", "理由"}
	sayHeadBy      = phrase{"By", "操作人"}
)

// standingWords are the states of a deposit.
var standingWords = map[string]phrase{
	"kept":          {"kept", "保存中"},
	"held":          {"held", "保全中"},
	"erasure-asked": {"erasure asked for, and not confirmed", "已提出删除，尚未确认"},
	"erased":        {"erased", "已删除"},
}

// noticeWords are what has become of notices.
var noticeWords = map[string]phrase{
	"open":     {"open", "有效"},
	"released": {"released", "已解除"},
	"erased":   {"erased", "已删除"},
	"refused":  {"refused", "已因保全而作废"},
	"replaced": {"asked for anew", "已重新提出"},
	"lapsed":   {"lapsed", "已过期"},
	"done":     {"done", "已完成"},
}

// actWords are what notices say.
var actWords = map[string]phrase{
	"hold":          {"hold", "保全"},
	"release":       {"release", "解除"},
	"erasure-asked": {"erasure asked for", "提出删除"},
	"erasure":       {"erasure", "删除"},
}
