; The installer for Windows: for one user, without an administrator. make.sh
; calls it with VERSION, NUMBERS (1.2.3.0), CONSOLE and GUI (the two programs),
; OUT, ROOT (of the repository), SIZE (in kB) and SIGN (a command, may be empty).
;
; Without questions: setup.exe /S, with /LOGIN to be started at login.
; uninstall.exe /S keeps what the user has saved, /S /DELETEDATA deletes it.

Unicode true
Target amd64-unicode ; which Windows on ARM runs too
ManifestDPIAware true
RequestExecutionLevel user
SetCompressor /SOLID lzma
SetCompressorDictSize 32 ; so that the second program is found to be like the first

!include MUI2.nsh
!include FileFunc.nsh
!include LogicLib.nsh
!include WinMessages.nsh

!define NAME "Key2OAuth"
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run"
!define APPROVED "Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\${NAME}"

Name "${NAME}"
BrandingText "${NAME} ${VERSION}"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\${NAME}"
InstallDirRegKey HKCU "Software\${NAME}" "InstallDir"
!if "${SIGN}" != ""
  !uninstfinalize '${SIGN} "%1"'
  !finalize '${SIGN} "%1"'
!endif

VIProductVersion "${NUMBERS}"
VIFileVersion "${NUMBERS}"
VIAddVersionKey /LANG=1033 "ProductName" "${NAME}"
VIAddVersionKey /LANG=1033 "CompanyName" "${NAME}"
VIAddVersionKey /LANG=1033 "FileDescription" "${NAME} Setup"
VIAddVersionKey /LANG=1033 "FileVersion" "${VERSION}"
VIAddVersionKey /LANG=1033 "ProductVersion" "${VERSION}"
VIAddVersionKey /LANG=1033 "LegalCopyright" "MIT License"

!define MUI_ICON "${ROOT}/icons/app/key2oauth.ico"
!define MUI_UNICON "${ROOT}/icons/app/key2oauth.ico"
!define MUI_WELCOMEFINISHPAGE_BITMAP "${ROOT}/cmd/key2oauth/packaging/out/wizard.bmp"
!define MUI_UNWELCOMEFINISHPAGE_BITMAP "${ROOT}/cmd/key2oauth/packaging/out/wizard.bmp"
!define MUI_WELCOMEPAGE_TEXT "Key2OAuth lets apps that sign in with OAuth (Claude, ChatGPT, Cursor) use MCP servers that know only API keys. Your keys stay on this computer.$\r$\n$\r$\nIt is installed for you alone and needs no administrator.$\r$\n$\r$\nClick Next to continue."
!define MUI_COMPONENTSPAGE_SMALLDESC
!define MUI_FINISHPAGE_RUN "$INSTDIR\Key2OAuth.exe"
!define MUI_FINISHPAGE_RUN_TEXT "Start Key2OAuth now"
!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

; Programs that run cannot be replaced, so the one of this user is ended. If
; another one is in the way (another data folder), Windows says which file.
!macro EndProgram
  ${If} ${FileExists} "$INSTDIR\bin\key2oauth.exe"
    nsExec::ExecToLog '"$INSTDIR\bin\key2oauth.exe" quit'
    Pop $0
  ${EndIf}
!macroend

!macro TellEnvironment
  SendMessage ${HWND_BROADCAST} ${WM_SETTINGCHANGE} 0 "STR:Environment" /TIMEOUT=2000
!macroend

Section "Key2OAuth" SecMain
  SectionIn RO
  !insertmacro EndProgram
  SetOutPath "$INSTDIR\bin"
  File "/oname=key2oauth.exe" "${CONSOLE}"
  SetOutPath "$INSTDIR"
  File "/oname=Key2OAuth.exe" "${GUI}"
  File "/oname=LICENSE.txt" "${ROOT}/LICENSE"
  File "/oname=THIRD_PARTY_LICENSES.txt" "${ROOT}/cmd/key2oauth/packaging/out/licenses/windows/THIRD_PARTY_LICENSES"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\Key2OAuth.exe"
  WriteRegStr HKCU "Software\${NAME}" "InstallDir" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\Key2OAuth.exe"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "URLInfoAbout" "https://github.com/key2oauth/key2oauth"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" ${SIZE}
SectionEnd

Section "Command key2oauth in terminals" SecPath
  ; By the program: this language cuts long values.
  nsExec::ExecToLog '"$INSTDIR\bin\key2oauth.exe" path-add'
  Pop $0
  !insertmacro TellEnvironment
SectionEnd

Section /o "Start Key2OAuth when I sign in" SecLogin
  ; As the program itself writes it.
  WriteRegStr HKCU "${RUN}" "${NAME}" '"$INSTDIR\Key2OAuth.exe" --at-login'
  DeleteRegValue HKCU "${APPROVED}" "${NAME}"
SectionEnd

!insertmacro MUI_FUNCTION_DESCRIPTION_BEGIN
  !insertmacro MUI_DESCRIPTION_TEXT ${SecMain} "The program, and its entry in the start menu."
  !insertmacro MUI_DESCRIPTION_TEXT ${SecPath} "Puts the command key2oauth on your PATH."
  !insertmacro MUI_DESCRIPTION_TEXT ${SecLogin} "Its icon is there after each sign-in. You can change this later in the program."
!insertmacro MUI_FUNCTION_DESCRIPTION_END

Function .onInit
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/LOGIN" $1
  ${IfNot} ${Errors}
    SectionSetFlags ${SecLogin} ${SF_SELECTED}
  ${EndIf}
FunctionEnd

Section "Uninstall"
  !insertmacro EndProgram
  StrCpy $2 no
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/DELETEDATA" $1
  ${IfNot} ${Errors}
    StrCpy $2 yes
  ${ElseIf} ${Cmd} `MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "Delete your servers, API keys and settings as well?$\r$\n$\r$\nNo keeps them for the next time that you install Key2OAuth." /SD IDNO IDYES`
    StrCpy $2 yes
  ${EndIf}
  ${If} $2 == yes
    nsExec::ExecToLog '"$INSTDIR\bin\key2oauth.exe" delete-everything --yes'
    Pop $0
    ${If} $0 != 0
      MessageBox MB_OK|MB_ICONEXCLAMATION "Not everything could be deleted. Look into the folder key2oauth in $APPDATA." /SD IDOK
    ${EndIf}
  ${EndIf}
  nsExec::ExecToLog '"$INSTDIR\bin\key2oauth.exe" path-remove'
  Pop $0
  !insertmacro TellEnvironment

  ; What login starts goes if it is this copy.
  ReadRegStr $0 HKCU "${RUN}" "${NAME}"
  StrLen $1 '"$INSTDIR\'
  StrCpy $0 $0 $1
  ${If} $0 == '"$INSTDIR\'
    DeleteRegValue HKCU "${RUN}" "${NAME}"
    DeleteRegValue HKCU "${APPROVED}" "${NAME}"
  ${EndIf}

  again:
  ClearErrors
  Delete "$INSTDIR\bin\key2oauth.exe"
  Delete "$INSTDIR\Key2OAuth.exe"
  ${If} ${Errors}
    MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "Key2OAuth still runs. End it by its icon in the taskbar, then try again." /SD IDCANCEL IDRETRY again
    SetErrorLevel 2
    Abort
  ${EndIf}
  RMDir "$INSTDIR\bin"
  Delete "$INSTDIR\LICENSE.txt"
  Delete "$INSTDIR\THIRD_PARTY_LICENSES.txt"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\${NAME}.lnk"
  DeleteRegKey HKCU "${UNINSTALL}"
  DeleteRegKey HKCU "Software\${NAME}"
SectionEnd
